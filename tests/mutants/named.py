"""Mutations that once went unnoticed: each must be killed by name. (what it does, the text, what takes its place)"""

MUTATIONS = [
    (
        "a SYNC_FULL set is served by a SYNC_NONE leader of the group",
        "(durability, mode, max_bytes, request.create_if_missing)",
        "{ let _ = durability; (mode, max_bytes, request.create_if_missing) }",
    ),
    (
        "a batch's clear keeps earlier edits of the same group",
        "            self.clear = true;\n            self.edits.clear();\n",
        "            self.clear = true;\n",
    ),
    (
        "the comparison with the last written bytes accepts a longer file",
        "(stamp.size() == bytes.len() as u64).then_some(",
        "(stamp.size() >= bytes.len() as u64).then_some(",
    ),
    (
        "a durable set that changes nothing is not synced",
        "if ours.options.durability == Durability::Full && edited.outcomes",
        "if false && ours.options.durability == Durability::Full && edited.outcomes",
    ),
    (
        "an access list's mask is set before its list",
        "        false => set_mode(mode & !0o070)?,\n",
        "        false => set_mode(mode)?,\n",
    ),
    (
        "the lock timeout is doubled",
        "request.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout))",
        "request.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout * 2))",
    ),
]

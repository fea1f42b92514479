"""Mutations that once went unnoticed: each must be killed by name. (what it does, the text, what takes its place)"""

MUTATIONS = [
    (
        "a SYNC_FULL set is served by a SYNC_NONE leader of the group",
        "(durability, mode, max_bytes, request.create_if_missing)",
        "{ let _ = durability; (mode, max_bytes, request.create_if_missing) }",
    ),
    (
        "a batch's clear keeps earlier edits of the same group",
        "            self.clears = true;\n            self.changes.clear();\n",
        "            self.clears = true;\n",
    ),
    (
        "the comparison with the last written bytes accepts a longer file",
        "    if opened.stamp.size() != bytes.len() as u64 {",
        "    if opened.stamp.size() < bytes.len() as u64 {",
    ),
    (
        "a durable set that changes nothing is not synced",
        "if ours.options.durability == Durability::Full && outcomes",
        "if false && ours.options.durability == Durability::Full && outcomes",
    ),
    (
        "an access list's mask is set before its list",
        "        false => mode & !0o070,\n",
        "        false => mode,\n",
    ),
    (
        "the lock timeout is doubled",
        "store.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout))",
        "store.options.lock_timeout.and_then(|timeout| Instant::now().checked_add(timeout * 2))",
    ),
]

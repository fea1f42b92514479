"""The OpenFeature provider, through the SDK's own client."""
import scripts
import tools
from stores import FolderCase

PROGRAM = """
    import os, sys, threading
    import flagstore
    from flagstore.openfeature import FlagstoreProvider
    from openfeature import api
    from openfeature.event import ProviderEvent
    from openfeature.exception import ErrorCode
    from openfeature.flag_evaluation import Reason
    from openfeature.provider import ProviderStatus

    path = sys.argv[1]
    store = flagstore.Store.file(path, durability=flagstore.SYNC_NONE)
    provider = FlagstoreProvider(store, close_store=True)
    api.set_provider_and_wait(provider) if hasattr(api, "set_provider_and_wait") else api.set_provider(provider)
    client = api.get_client()
    ready = threading.Event()
    client.add_handler(ProviderEvent.PROVIDER_READY, lambda _details: ready.set())
    assert ready.wait(20), "not ready"
    assert client.get_provider_status() == ProviderStatus.READY

    def check(details, value, reason, code=None):
        got = details.value, type(details.value), details.reason, details.error_code
        assert got == (value, type(value), reason, code), (details, value, reason, code)

    store.update({"bool": True, "text": "é", "int": 7, "integral": 3.0, "float": 0.5, "object": {"a": [1]}, "list": [1],
                  "null": None, "big": 2**70})
    store.set_json("huge", "1e400")
    store.set_json("long", "9" * 5000)
    boolean, string, integer, number, thing = (
        client.get_boolean_details, client.get_string_details, client.get_integer_details, client.get_float_details,
        client.get_object_details)
    right = [(boolean, "bool", False, True), (string, "text", "", "é"), (integer, "int", 0, 7),
             (integer, "big", 0, 2**70), (integer, "integral", 0, 3),
             (number, "float", 0.0, 0.5), (number, "int", 0.0, 7.0),
             (thing, "object", {}, {"a": [1]}), (thing, "list", [], [1])]
    for resolve, key, default, value in right:
        check(resolve(key, default), value, Reason.STATIC)
    defaults = {boolean: True, string: "fallback", integer: 42, number: 4.5, thing: {"b": 1}}
    for resolve, default in defaults.items():
        check(resolve("absent", default), default, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)
        takes = {key for right_resolve, key, _, _ in right if right_resolve is resolve} | {"long"}
        takes |= {"integral", "big"} if resolve is number else set()
        for key in set(store) - takes:
            check(resolve(key, default), default, Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert client.get_boolean_value("bool", False) is True

    # Changes by whomever are events.
    changed, arrived = set(), threading.Condition()

    def note(details):
        with arrived:
            changed.update(details.flags_changed)
            arrived.notify_all()
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, note)
    store.set("of this store", 1)
    with flagstore.Store.file(path) as other:
        other.set("of another", 1)
    with arrived:
        assert arrived.wait_for(lambda: {"of this store", "of another"} <= changed, 20), changed

    with open(path, "w") as file:
        file.write("[]")
    check(boolean("bool", True), True, Reason.ERROR, ErrorCode.PARSE_ERROR)
    os.unlink(path)
    check(boolean("bool", True), True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)
    provider.shutdown()
    assert store.closed
    details = provider.resolve_boolean_details("bool", True)
    check(details, True, Reason.ERROR, ErrorCode.PROVIDER_NOT_READY)

    # A store that cannot be read is an error at the start.
    with open(path, "w") as file:
        file.write("[]")
    failed = threading.Event()
    client.add_handler(ProviderEvent.PROVIDER_ERROR, lambda _details: failed.set())
    try:
        api.set_provider(FlagstoreProvider(flagstore.Store.file(path)))
    except flagstore.Corrupt:
        pass
    assert failed.wait(20), "no error"
    try:
        FlagstoreProvider(path)
    except TypeError:
        print("done")
    api.shutdown()
"""


class OpenFeature(FolderCase):
    def test_the_sdks_client_resolves_flags_and_hears_of_changes(self):
        python = tools.python_with("openfeature")
        self.assertEqual(scripts.run(PROGRAM, self.path, program=python), (0, "done\n", ""))

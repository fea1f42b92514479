"""An interpreter ends well whatever is open: stores, watches, a log, calls of daemon threads, backends."""
import scripts
from stores import FolderCase

BEGIN = """
    import sys, threading, time
    import flagstore
    store = flagstore.Store.file(sys.argv[1], durability=flagstore.SYNC_NONE)
"""
ENDS = {
    "a store, a snapshot, a batch, a watch and a log": """
        things = [store.snapshot(), flagstore.Batch(), store.watch(print, "a"), flagstore.set_log(print)]
    """,
    "they hold each other": """
        class Ring:
            pass
        ring = Ring()
        ring.ring, ring.store, ring.watch = ring, store, store.watch(lambda *_change: ring, "a")
    """,
    "daemon threads in the middle of calls": """
        def use():
            while True:
                store.set("b", store.revision())
                store.list_all()
                dict(store.snapshot())
        for _ in range(4):
            threading.Thread(target=use, daemon=True).start()
        while "b" not in store:
            pass
    """,
    "daemon threads that wait": """
        for timeout in [None, 3600]:
            threading.Thread(target=store.wait, args=[store.revision(), timeout], daemon=True).start()
    """,
    "a thread that is inside a backend's method": """
        class Methods:
            def get(self, key):
                entered.set()
                time.sleep(0.5)
                return "1"
        entered, above = threading.Event(), flagstore.open_backend(Methods())
        threading.Thread(target=above.get, args="a", daemon=True).start()
        entered.wait()
    """,
    "a watch of a backend, which is busy": """
        class Methods(dict):
            def set(self, key, text):
                self[key] = text

            def list_all(self):
                time.sleep(0.01)
                return list(self.items())
        above = flagstore.open_backend(Methods())
        called = threading.Event()
        watch = above.watch(lambda *_change: called.set())
        above.set("a", 1)
        called.wait()
        above.set("a", 2)
    """,
    "a destructor that uses the store, which may have gone first": """
        class Last:
            def __del__(self, store=store, closed=flagstore.InvalidArgument):
                try:
                    store.set("c", 1)
                except closed:
                    pass
                store.close()
        last = Last()
    """,
    "a function of atexit that uses the store": """
        import atexit
        atexit.register(lambda: store.set("c", 1))
    """,
    "a log and threads that make errors": """
        def fail():
            while True:
                try:
                    store.set_json("a", "?")
                except flagstore.InvalidJson:
                    told.set()
        told = threading.Event()
        flagstore.set_log(lambda _level, _message: None)
        for _ in range(4):
            threading.Thread(target=fail, daemon=True).start()
        told.wait()
    """,
}
LATE = """
    import atexit

    def late():  # is called after what flagstore has registered
        store = flagstore.Store.memory()
        for attempt in [lambda: store.watch(print), lambda: flagstore.open_backend(object())]:
            try:
                attempt()
            except flagstore.InvalidArgument:
                print("refused")
    atexit.register(late)
    import flagstore
"""


class InterpreterEnd(FolderCase):
    def test_whatever_is_open(self):
        for what, source in ENDS.items():
            with self.subTest(what):
                program = scripts.textwrap.dedent(BEGIN) + scripts.textwrap.dedent(source)
                for _ in range(3):
                    self.assertEqual(scripts.run(program, self.path), (0, "", ""))

    def test_what_would_call_an_interpreter_that_has_ended_is_refused(self):
        self.assertEqual(scripts.run(LATE), (0, "refused\nrefused\n", ""))

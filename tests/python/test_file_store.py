"""What only a file store promises: options, the file it makes and keeps, and what it says when it cannot."""
import ctypes
import errno
import os
import stat

import flagstore
from flagstore import CORRUPT, INVALID_ARGUMENT, IO
from flagstore._native import FileOptions, lib
from stores import FolderCase

REFUSED_OPTIONS = [{"durability": 3}, {"durability": -1}, {"read_mode": 3}, {"read_mode": -1}, {"flags": 4},
                   {"flags": 1 << 31}, {"lock_timeout": -2}, {"mode": 0o1000000}]
# broken file -> line and column that the message must point at
BROKEN = {
    b"": (1, 1), b"[]": (1, 1), b"null": (1, 1), b"\xef\xbb\xbf{}": (1, 1), b"{} {}": (1, 4), b"{}\0": (1, 3),
    b'{\n  "a": 1,\n  "b": ?\n}\n': (3, 8), b'{\r\n"a":\r\nNaN}': (3, 1), b'{"a": 1': (1, 8),
    '{\n"é😀": 1,}'.encode(): (2, 9), b'{\n"a": "\xff"\n}': (2, 7), b'{"a": "\n"}': (1, 8),
}


class Files(FolderCase):
    def test_a_missing_file_is_created_as_an_empty_object(self):
        self.open()
        self.assertEqual(self.read(), b"{}\n")

    def test_a_file_that_vanishes_is_an_empty_store_and_comes_back(self):
        store = self.open()
        store.set("key", 1)
        os.unlink(self.path)
        self.assertEqual((store.list_all_json(), store.delete("key")), ("{}", False))
        store.set("other", 2)
        self.assertEqual(self.read(), b'{\n  "other": 2\n}\n')

    def test_what_another_program_wrote_is_read_at_once(self):
        store = self.open()
        for number in range(50):
            self.write(b'{"key":%d}' % number)
            self.assertEqual(store.get("key"), number)

    def test_two_stores_on_one_file_see_each_other(self):
        one, other = self.open(), self.open(durability=flagstore.SYNC_NONE)
        one.set("key", 1)
        other.set("other", other.get("key") + 1)
        self.assertEqual(one.list_all(), {"key": 1, "other": 2})

    def test_an_equal_change_leaves_the_file_alone(self):
        store = self.open()
        self.write(b'{ "b":[1.10, {"y":1,"x":2}],"a":1 }')
        before = os.stat(self.path)
        store.set_json("b", '[1.10,{"x":2,"y":1}]')
        store.set_int64("a", 1)
        store.delete("absent")
        after = os.stat(self.path)
        self.assertEqual((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns))
        self.assertEqual(self.read(), b'{ "b":[1.10, {"y":1,"x":2}],"a":1 }')

    def test_a_change_rewrites_any_layout_into_the_one_layout(self):
        store = self.open()
        self.write(b'\r\n{"z":1e5,\t"\xc3\xa9":"\x7f/","a":[ ]}')
        store.set_json("z", "1E5")
        self.assertEqual(self.read(), b'{\n  "a": [],\n  "z": 1E5,\n  "\\u00e9": "\\u007f/"\n}\n')

    def test_a_broken_file_is_an_error_for_every_call_and_is_never_touched(self):
        store = self.open()
        for data, at in BROKEN.items():
            self.write(data)
            before = os.stat(self.path)
            for call in [lambda: store.get("a"), lambda: store.set("a", 1), lambda: store.delete("a"), store.list_all,
                         lambda: len(store), lambda: store.get_bool("a"), lambda: store.get_type("absent")]:
                with self.subTest(data=data), self.fails(CORRUPT, self.path, at=at):
                    call()
            self.open()  # opening it is no error, and repairs nothing
            self.assertEqual((self.read(), os.stat(self.path).st_ino), (data, before.st_ino))

    def test_127_levels_below_the_root_are_read(self):
        store = self.open()
        for depth, accepted in [(127, True), (128, False)]:
            self.write(b'{"key": ' + b"[" * depth + b"]" * depth + b"}")
            if accepted:
                self.assertEqual(store.get_json("key"), "[" * depth + "]" * depth)
            else:
                with self.fails(CORRUPT):
                    store.get_json("key")

    def test_what_the_system_refuses_has_its_errno(self):
        gone = os.path.join(self.folder, "gone", "flags.json")
        os.symlink(gone, self.path)
        for path, code in [(gone, errno.ENOENT), (self.path, errno.ENOENT), (self.folder, errno.EISDIR),
                           (os.path.join(self.folder, "x" * 300), errno.ENAMETOOLONG),
                           ("/dev/null/flags", errno.ENOTDIR)]:
            with self.subTest(path=path), self.fails(IO, os.path.dirname(path)) as caught:
                flagstore.Store.file(path).list_all()
            self.assertEqual(caught.exception.os_code, code, caught.exception)

    def test_a_folder_that_vanishes_is_an_error_not_an_empty_store(self):
        folder = os.path.join(self.folder, "volume")
        os.mkdir(folder)
        self.path = os.path.join(folder, "flags.json")
        store = self.open()
        store.set("key", 1)
        os.rename(folder, folder + ".away")
        for call in [store.list_all, lambda: store.set("key", 2)]:
            with self.fails(IO) as caught:
                call()
            self.assertEqual(caught.exception.os_code, errno.ENOENT)
        os.rename(folder + ".away", folder)
        self.assertEqual(store.get("key"), 1)

    def test_a_link_survives_and_its_target_changes(self):
        os.mkdir(os.path.join(self.folder, "real"))
        target = os.path.join(self.folder, "real", "target.json")
        self.open().set("key", 1)
        os.rename(self.path, target)
        os.symlink("real/target.json", self.path)
        self.open().set("key", 2)
        self.assertTrue(os.path.islink(self.path))
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b'{\n  "key": 2\n}\n')

    def test_the_mode_is_kept_and_only_the_lock_file_is_left_beside(self):
        self.open(mode=0o600).set("key", 1)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        os.chmod(self.path, 0o664)
        self.open().set("key", 2)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o664)
        self.assertEqual(sorted(os.listdir(self.folder)), [".flags.json.lock", "flags.json"])

    def test_any_utf8_file_name_will_do(self):
        self.path = os.path.join(self.folder, 'é 😀"\n.json')
        self.open().set("key", 1)
        self.assertEqual(self.read(), b'{\n  "key": 1\n}\n')


class Options(FolderCase):
    def test_options_out_of_range_are_refused(self):
        for options in REFUSED_OPTIONS:
            with self.subTest(options=options), self.fails(INVALID_ARGUMENT):
                self.open(**options)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_caller_of_another_age_is_understood(self):
        size = ctypes.sizeof(FileOptions)
        storage = (ctypes.c_char * (size + 16))()
        options = FileOptions.from_buffer(storage)
        for given, tail, accepted in [(size, 0, True), (FileOptions.durability.offset, 0, True), (size + 16, 0, True),
                                      (size + 16, 1, False), (size, 1, True)]:
            options.size, storage[size + 15] = given, tail
            with self.subTest(size=given, tail=tail):
                error = ctypes.c_void_p()
                handle = lib.flagstore_file_open_with(os.fsencode(self.path), options, error)
                self.assertEqual((bool(handle), lib.flagstore_error_code(error)),
                                 (accepted, flagstore.OK if accepted else INVALID_ARGUMENT))
                lib.flagstore_free(handle)
                lib.flagstore_free(error)

    def test_reserved_bytes_must_be_zero(self):
        options = FileOptions(size=ctypes.sizeof(FileOptions), reserved=1)
        self.assertIsNone(lib.flagstore_file_open_with(os.fsencode(self.path), options, None))

    def test_existing_wants_the_file(self):
        with self.fails(IO, self.path) as caught:
            self.open(flags=flagstore.OPEN_EXISTING)
        self.assertEqual((caught.exception.os_code, os.listdir(self.folder)), (errno.ENOENT, []))
        self.write(b"{}")
        self.open(flags=flagstore.OPEN_EXISTING).set("key", 1)

    def test_read_only_changes_and_creates_nothing(self):
        store = self.open(flags=flagstore.OPEN_READ_ONLY)
        changes = [lambda: store.set("key", 1), lambda: store.delete("key"), lambda: store.set_bool("key", True),
                   lambda: store.set_int64("key", 1), lambda: store.set_double("key", 1),
                   lambda: store.set_string("key", "")]
        for content in ["{}", '{"key":0}']:
            self.assertEqual(store.list_all_json(), content)
            for change in changes:
                with self.fails(flagstore.READ_ONLY):
                    change()
            if content == "{}":
                self.assertEqual(os.listdir(self.folder), [])
                self.write(b'{"key":0}')
        self.assertEqual((os.listdir(self.folder), self.read()), (["flags.json"], b'{"key":0}'))

    def test_more_than_max_bytes_is_neither_read_nor_written(self):
        store = self.open(max_bytes=100)
        store.set("key", "x" * 70)
        kept = self.read()
        for call in [lambda: store.set("key", "x" * 101), lambda: store.set("more", "x" * 40)]:
            with self.fails(IO) as caught:
                call()
            self.assertEqual((caught.exception.os_code, self.read()), (errno.EFBIG, kept))
        self.write(b'{"key":1}' + b" " * 100)
        with self.fails(IO) as caught:
            store.get("key")
        self.assertEqual(caught.exception.os_code, errno.EFBIG)

    def test_a_flag_that_takes_too_much_memory_to_sort_leaves_the_others_readable(self):
        data = b'{"flag":1,"hostile":[%s]}' % b",".join([b'{"b":0,"a":0}'] * 1000)
        self.write(data)
        for mode in [flagstore.READ_FRESH, flagstore.READ_CHECKED, flagstore.READ_WATCHED]:
            store = self.open(read_mode=mode, max_bytes=len(data))
            for _ in range(3):
                self.assertEqual(store.get_int64("flag", 0), 1)
                self.assertEqual(store.get_type("hostile"), flagstore.ARRAY)
                with self.fails(IO) as caught:
                    store.list_all()
                self.assertEqual(caught.exception.os_code, errno.EFBIG)
        self.assertEqual(self.open(max_bytes=2 * len(data)).get("hostile"), [{"a": 0, "b": 0}] * 1000)

package flagstore_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"flagstore"
)

func openWith(t *testing.T, path string, options flagstore.FileOptions) *flagstore.Store {
	t.Helper()
	store, err := flagstore.OpenFileWith(path, options)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o666))
}

func expectFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	expect(t, path, string(got), err, want)
}

func TestTheFileIsWhatPythonWouldWriteWhateverTheDurability(t *testing.T) {
	for _, durability := range []flagstore.Durability{flagstore.SyncFull, flagstore.SyncNone, flagstore.SyncOrdered} {
		path := flagFile(t)
		store := openWith(t, path, flagstore.FileOptions{Durability: durability})
		expectFile(t, path, "{}\n")
		must(t, store.Set("é\x00", json.RawMessage(`{"b":[1.10,{}],"a":"😀"}`)))
		must(t, store.SetBool("Z", true))
		expectFile(t, path, "{\n  \"Z\": true,\n  \"\\u00e9\\u0000\": {\n    \"a\": \"\\ud83d\\ude00\",\n"+
			"    \"b\": [\n      1.10,\n      {}\n    ]\n  }\n}\n")
	}
}

func TestEveryHandleSeesWhatOthersWrote(t *testing.T) {
	path := flagFile(t)
	one, other := openWith(t, path, flagstore.FileOptions{}), openWith(t, path, flagstore.FileOptions{})
	must(t, one.SetBool("on", true))
	expectJSON(t, other, "on", "true")
	write(t, path+".new", "{ \"on\" : 2 }")
	must(t, os.Rename(path+".new", path))
	expectJSON(t, one, "on", "2")
	expectJSON(t, other, "on", "2")
	must(t, os.Remove(path))
	expectJSON(t, one, "on", "")
}

func TestACorruptFileIsReportedByEveryCallAndKept(t *testing.T) {
	for _, content := range []string{"", "[]", "{\"a\":1", "{} {}", "\ufeff{}", "{\"a\":\"\xff\"}"} {
		path := flagFile(t)
		write(t, path, content)
		store := openWith(t, path, flagstore.FileOptions{})
		for name, call := range keyed {
			expectCode(t, name+" on "+content, call(store, "key"), flagstore.Corrupt)
		}
		for name, call := range keyless {
			expectCode(t, name+" on "+content, call(store), flagstore.Corrupt)
		}
		expectFile(t, path, content)
	}
}

func TestAReadOnlyStoreRefusesEveryChangeAndCreatesNothing(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{ReadOnly: true})
	expectJSON(t, store, "key", "")
	changes := []string{"Set", "SetContext", "SetFrom", "Delete", "DeleteContext", "SetBool", "SetInt64", "SetDouble", "SetString"}
	for _, name := range changes {
		expectCode(t, name, keyed[name](store, "key"), flagstore.ReadOnly)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	expect(t, "files", len(left), err, 0)
}

func TestWhatTheSystemRefusesCarriesItsErrnoAndCreatesNothing(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "flags.json")
	for _, refusal := range []struct {
		what    string
		path    string
		options flagstore.FileOptions
		errno   syscall.Errno
	}{
		{"a missing directory", filepath.Join(path, "flags.json"), flagstore.FileOptions{}, syscall.ENOENT},
		{"a missing file", path, flagstore.FileOptions{OpenExisting: true}, syscall.ENOENT},
		{"an empty path", "", flagstore.FileOptions{}, syscall.ENOENT},
		{"a directory", directory, flagstore.FileOptions{}, syscall.EISDIR},
		{"a directory to be", path + "/", flagstore.FileOptions{}, syscall.EISDIR},
	} {
		_, err := flagstore.OpenFileWith(refusal.path, refusal.options)
		expectCode(t, refusal.what, err, flagstore.IO)
		if !errors.Is(err, refusal.errno) || errors.Is(err, fs.ErrNotExist) != (refusal.errno == syscall.ENOENT) {
			t.Errorf("%s: got %v, expected %v behind it", refusal.what, err, refusal.errno)
		}
	}
	left, err := os.ReadDir(directory)
	expect(t, "files", len(left), err, 0)
}

func TestAPathThatCIsNotToldWholeIsAnInvalidArgument(t *testing.T) {
	for _, name := range []string{"flags\x00.json", "\xff.json"} {
		_, err := flagstore.OpenFile(filepath.Join(t.TempDir(), name))
		expectCode(t, name, err, flagstore.InvalidArgument)
	}
}

func TestMaxBytesLimitsWhatIsReadAndWritten(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{MaxBytes: 40})
	must(t, store.SetString("a", "short"))
	err := store.SetString("b", "this is more than fits into forty bytes")
	expectCode(t, "SetString", err, flagstore.IO)
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v, expected EFBIG behind it", err)
	}
	expectFile(t, path, "{\n  \"a\": \"short\"\n}\n")
	write(t, path, `{"a": "somebody else wrote more than forty bytes"}`)
	_, err = store.Get("a")
	expectCode(t, "Get", err, flagstore.IO)
}

func TestTheModeOfANewFileIsAsAskedFor(t *testing.T) {
	path := flagFile(t)
	store := openWith(t, path, flagstore.FileOptions{Mode: 0o600})
	must(t, store.SetBool("on", true))
	info, err := os.Stat(path)
	must(t, err)
	expect(t, "mode", info.Mode(), nil, fs.FileMode(0o600))
}

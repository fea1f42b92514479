package flagstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flagstore"
)

const secret = "s3cret-word"

// The Redis that tests may use: that of tests/redis/bindings.sh. Without the feature in the library there is nothing to
// test on one; with it a server that is missing is skipped, loudly.
var redisURL = os.Getenv("FLAGSTORE_REDIS")

func init() {
	if redisURL == "" {
		return
	}
	if !flagstore.HasFeature("redis") {
		panic("FLAGSTORE_REDIS is set, but the library was built without Redis")
	}
	for name, mode := range map[string]flagstore.ReadMode{
		"redis": flagstore.Fresh, "redis checked": flagstore.Checked, "redis watched": flagstore.Watched,
	} {
		mode := mode
		kinds = append(kinds, struct {
			name string
			open func(t *testing.T) (*flagstore.Store, error)
		}{name, func(*testing.T) (*flagstore.Store, error) {
			return flagstore.OpenRedisWith(redisURL, inHash(newHash(), mode))
		}})
	}
}

var hashes atomic.Int64

func newHash() string { return fmt.Sprintf("go:%d:%d", os.Getpid(), hashes.Add(1)) }

// inHash are options that nothing but the server's doing can end.
func inHash(hash string, mode flagstore.ReadMode) flagstore.RedisOptions {
	return flagstore.RedisOptions{RemoteOptions: remote(mode), Hash: hash}
}

func needRedis(t *testing.T) {
	t.Helper()
	switch {
	case !flagstore.HasFeature("redis"):
		t.Skip("the library was built without Redis")
	case redisURL == "" && os.Getenv("FLAGSTORE_TESTS") == "all":
		t.Fatal("FLAGSTORE_REDIS names no server: see tests/redis/bindings.sh")
	case redisURL == "":
		fmt.Fprintln(os.Stderr, "SKIPPED", t.Name()+": FLAGSTORE_REDIS names no server")
		t.Skip("FLAGSTORE_REDIS names no server: see tests/redis/bindings.sh")
	}
}

func openRedis(t *testing.T, url string, options flagstore.RedisOptions) *flagstore.Store {
	t.Helper()
	store, err := flagstore.OpenRedisWith(url, options)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

// redisCLI is what redis-cli says.
func redisCLI(t *testing.T, words ...string) string {
	t.Helper()
	said, err := exec.Command("redis-cli", append([]string{"-u", redisURL}, words...)...).CombinedOutput()
	if err != nil || strings.HasPrefix(string(said), "ERR") {
		t.Fatalf("redis-cli %q: %v: %s", words, err, said)
	}
	return strings.TrimSuffix(string(said), "\n")
}

// withUser is the URL with these instead of what it has.
func withUser(user, password string) string {
	return regexp.MustCompile("//(.*@)?").ReplaceAllString(redisURL, "//"+user+":"+password+"@")
}

// expectSecret sees that nothing of the error has the password.
func expectSecret(t *testing.T, err error) {
	t.Helper()
	if shown := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(shown, secret) {
		t.Errorf("the password is in %s", shown)
	}
}

func TestALibraryWithoutRedisSaysSo(t *testing.T) {
	if flagstore.HasFeature("redis") {
		t.Skip("the library has it")
	}
	_, err := flagstore.OpenRedis("redis://:" + secret + "@localhost")
	expectCode(t, "OpenRedis", err, flagstore.NotImplemented)
	expectSecret(t, err)
	_, err = flagstore.OpenRedisWith("redis://localhost", flagstore.RedisOptions{Password: secret})
	expectCode(t, "OpenRedisWith", err, flagstore.NotImplemented)
	expectSecret(t, err)
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	must(t, store.Set("a", raw("1")))
	expectJSON(t, store, "a", "1")
}

func TestRedisOptionsDoNotShowThePassword(t *testing.T) {
	options := flagstore.RedisOptions{Hash: "the-hash", Password: secret, Connections: 7}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%50v"} {
		for _, value := range []any{options, &options, []any{options}, struct{ O flagstore.RedisOptions }{options}} {
			shown := fmt.Sprintf(verb, value)
			if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s shows %s", verb, shown)
			}
			if !strings.Contains(shown, "7") && verb != "%s" && verb != "%q" {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
	}
	if shown := fmt.Sprint(options); !strings.Contains(shown, "the-hash") || !strings.Contains(shown, "***") {
		t.Errorf("got %s", shown)
	}
	text, err := json.Marshal(options)
	must(t, err)
	if strings.Contains(string(text), secret) || !strings.Contains(string(text), "the-hash") {
		t.Errorf("got %s", text)
	}
}

func needRedisFeature(t *testing.T) {
	t.Helper()
	if !flagstore.HasFeature("redis") {
		t.Skip("the library was built without Redis")
	}
}

func TestRedisRefusesWhatCannotBe(t *testing.T) {
	needRedisFeature(t)
	for _, url := range []string{"", "localhost", "http://localhost", "redis://", "redis://localhost:99999",
		"redis://localhost/x", "redis://:" + secret + "@localhost:x", "redis://:" + secret + "@local\x00host",
		"redis://:" + secret + "@\xff"} {
		_, err := flagstore.OpenRedis(url)
		expectCode(t, fmt.Sprintf("%q", url), err, flagstore.InvalidArgument)
		expectSecret(t, err)
	}
	for _, options := range []flagstore.RedisOptions{
		{Connections: -1}, {WaitReplicas: -1}, {Wait: -1}, {Hash: "{"}, {Hash: "\xff"}, {Username: "a\x00"},
		{Password: secret + "\x00"}, {Password: secret + "\xff"}, {RemoteOptions: flagstore.RemoteOptions{ReadMode: 7}},
		{RemoteOptions: flagstore.RemoteOptions{Verify: -1}}, {RemoteOptions: flagstore.RemoteOptions{FallbackPath: "\x00"}},
	} {
		_, err := flagstore.OpenRedisWith("redis://localhost", options)
		expectCode(t, fmt.Sprint(options), err, flagstore.InvalidArgument)
		expectSecret(t, err)
	}
}

func TestRedisFilesThatAreNotThereAreAnError(t *testing.T) {
	needRedisFeature(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, options := range []flagstore.RedisOptions{{TLSCAFile: missing}, {TLSCertFile: missing, TLSKeyFile: missing}} {
		options.ReadMode = flagstore.Watched
		_, err := flagstore.OpenRedisWith("rediss://127.0.0.1:1", options)
		expectCode(t, "OpenRedisWith", err, flagstore.IO)
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("got %v, expected the path in it", err)
		}
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	needRedisFeature(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	url := "redis://" + listener.Addr().String()
	must(t, listener.Close())
	store := openRedis(t, url, flagstore.RedisOptions{}) // it does not connect
	_, err = store.Get("key")
	expectCode(t, "Get", err, flagstore.Unavailable)
	expectCode(t, "Set", store.Set("key", raw("1")), flagstore.Unavailable)
	_, err = store.ListAll()
	expectCode(t, "ListAll", err, flagstore.Unavailable)
	options := flagstore.RedisOptions{}
	options.ReadMode, options.OpenTimeout = flagstore.Watched, 100*time.Millisecond
	_, err = flagstore.OpenRedisWith(url, options)
	expectCode(t, "OpenRedisWith", err, flagstore.Unavailable)
	options.FallbackPath = flagFile(t)
	must(t, os.WriteFile(options.FallbackPath, []byte(`{"key": 1}`), 0o600))
	fallback := openRedis(t, url, options)
	expectJSON(t, fallback, "key", "1")
	expect(t, "state", stateOf(t, fallback), nil, flagstore.FromFallback)
	options.FallbackPath, options.Lazy = "", true
	lazy := openRedis(t, url, options)
	expect(t, "state", stateOf(t, lazy), nil, flagstore.Lost)
	_, err = lazy.Get("key")
	expectCode(t, "Get", err, flagstore.Unavailable)
}

func TestRedisTellsWhatPeopleChange(t *testing.T) {
	needRedis(t)
	hash := newHash()
	fresh := openRedis(t, redisURL, inHash(hash, flagstore.Fresh))
	store := openRedis(t, redisURL, inHash(hash, flagstore.Watched))
	calls := make(chan change, 100)
	watch, err := store.WatchAll(told(calls))
	must(t, err)
	defer watch.Close()
	before, err := store.Revision()
	must(t, err)
	redisCLI(t, "HSET", hash, "dark-mode", `{"on":  true}`)
	expectJSON(t, fresh, "dark-mode", `{"on":true}`)
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	now, err := store.Wait(ctx, before)
	must(t, err)
	expect(t, "the watch", soon(t, "the watch", calls), nil, change{"dark-mode", "absent", `{"on":true}`})
	expectJSON(t, store, "dark-mode", `{"on":true}`)
	eventually(t, "a refresh", func() bool {
		status, err := store.Status()
		return err == nil && status.State == flagstore.Live && status.Push == flagstore.PushTracked &&
			status.Refreshes > 0 && status.Revision == now
	})
	must(t, fresh.SetInt64("max-items", 12))
	expect(t, "HGET", redisCLI(t, "HGET", hash, "max-items"), nil, "12")
}

func TestRedisAfterASync(t *testing.T) {
	needRedis(t)
	hash := newHash()
	options := inHash(hash, flagstore.Watched)
	options.Spread = patience // by itself it would be late
	fresh, store := openRedis(t, redisURL, inHash(hash, flagstore.Fresh)), openRedis(t, redisURL, options)
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	for _, value := range []string{"1", "2", "3", "4", "5"} {
		must(t, fresh.Set("key", raw(value)))
		must(t, store.Sync(ctx))
		expectJSON(t, store, "key", value)
	}
}

func TestRedisUnderALayer(t *testing.T) {
	needRedis(t)
	hash := newHash()
	memory, err := flagstore.OpenMemory()
	must(t, err)
	defer memory.Close()
	below := openRedis(t, redisURL, inHash(hash, flagstore.Watched))
	store, err := flagstore.OpenLayered(1, memory, below)
	must(t, err)
	defer store.Close()
	before, err := store.Revision()
	must(t, err)
	redisCLI(t, "HSET", hash, "key", "1")
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	_, err = store.Wait(ctx, before)
	must(t, err)
	eventually(t, "the change", func() bool { value, _ := store.GetInt64("key", 0); return value == 1 })
	must(t, store.Set("key", raw("2")))
	must(t, memory.Set("key", raw("3")))
	expectJSON(t, store, "key", "3")
	expectJSON(t, below, "key", "2")
	expect(t, "HGET", redisCLI(t, "HGET", hash, "key"), nil, "2")
}

func TestRedisThatHasVanishedIsNotEmpty(t *testing.T) {
	needRedis(t)
	hash := newHash()
	store := openRedis(t, redisURL, inHash(hash, flagstore.Watched))
	must(t, store.Set("key", raw("1")))
	redisCLI(t, "DEL", hash, "{"+hash+"}:meta")
	eventually(t, "lost", func() bool { return stateOf(t, store) == flagstore.Lost })
	expectJSON(t, store, "key", "1")
}

func TestRedisFieldThatIsNoJSONIsAlone(t *testing.T) {
	needRedis(t)
	hash := newHash()
	store := openRedis(t, redisURL, inHash(hash, flagstore.Fresh))
	must(t, store.Set("good", raw("1")))
	redisCLI(t, "HSET", hash, "bad", "{")
	_, err := store.Get("bad")
	expectCode(t, "Get", err, flagstore.Corrupt)
	all, err := store.ListAll()
	expect(t, "ListAll", all, err, map[string]json.RawMessage{"good": raw("1")})
}

func TestRedisUserPasswordAndAFileWithIt(t *testing.T) {
	needRedis(t)
	hash := newHash()
	user := strings.ReplaceAll(hash, ":", "")
	redisCLI(t, "ACL", "SETUSER", user, "on", ">"+secret, "~*", "&*", "+@all")
	t.Cleanup(func() { redisCLI(t, "ACL", "DELUSER", user) })
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	with := func(username, password, file string) flagstore.RedisOptions {
		options := inHash(hash, flagstore.Fresh)
		options.Username, options.Password, options.PasswordFile = username, password, file
		return options
	}
	for _, way := range []struct {
		url     string
		options flagstore.RedisOptions
	}{
		{redisURL, with(user, secret, "")},
		{withUser("nobody", "wrong"), with(user, secret, "")},
		{redisURL, with(user, "", file)},
		{withUser(user, secret), with("", "", "")},
	} {
		store := openRedis(t, way.url, way.options)
		must(t, store.SetString("by", user))
		expectJSON(t, store, "by", `"`+user+`"`)
	}
	for url, options := range map[string]flagstore.RedisOptions{
		redisURL:                     with(user, secret+"!", ""),
		withUser(user, secret+"%21"): with("", "", ""),
	} {
		_, err := openRedis(t, url, options).Get("by")
		expectCode(t, "Get", err, flagstore.Backend)
		if err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("got %v, expected the server's words", err)
		}
		expectSecret(t, err)
	}
}

func TestRedisOtherOptions(t *testing.T) {
	needRedis(t)
	hash := newHash()
	options := inHash(hash, flagstore.Fresh)
	options.WaitReplicas, options.Wait, options.Connections = 1, 20*time.Millisecond, 1
	store := openRedis(t, redisURL, options)
	expectCode(t, "Set", store.Set("key", raw("1")), flagstore.NotDurable)
	expectJSON(t, store, "key", "1")
	options.ReadOnly = true
	expectCode(t, "Set", openRedis(t, redisURL, options).Set("key", raw("1")), flagstore.ReadOnly)
	other := openRedis(t, strings.TrimSuffix(redisURL, "/")+"/5", inHash(hash, flagstore.Fresh))
	count, err := other.Len()
	expect(t, "Len in another database", count, err, 0)
	_, err = openRedis(t, redisURL, flagstore.RedisOptions{SentinelMaster: "flags"}).Get("key")
	if err == nil {
		t.Error("a server that is no Sentinel is taken for one")
	}
}

func TestRedisByTLSWithCertificatesOfBothSides(t *testing.T) {
	needRedis(t)
	url, certificates := os.Getenv("FLAGSTORE_REDIS_TLS"), os.Getenv("FLAGSTORE_REDIS_CERTIFICATES")
	right := inHash(newHash(), flagstore.Fresh)
	right.TLSCAFile = filepath.Join(certificates, "ca.pem")
	right.TLSCertFile = filepath.Join(certificates, "client.pem")
	right.TLSKeyFile = filepath.Join(certificates, "client.key")
	right.TLSServerName = "flags.test"
	must(t, openRedis(t, url, right).Set("key", raw("1")))
	expectJSON(t, openRedis(t, redisURL, inHash(right.Hash, flagstore.Fresh)), "key", "1")
	for what, change := range map[string]func(*flagstore.RedisOptions){
		"another name": func(o *flagstore.RedisOptions) { o.TLSServerName = "other.test" },
		"no name":      func(o *flagstore.RedisOptions) { o.TLSServerName = "" },
		"another CA":   func(o *flagstore.RedisOptions) { o.TLSCAFile = o.TLSCertFile },
		"no client's":  func(o *flagstore.RedisOptions) { o.TLSCertFile, o.TLSKeyFile = "", "" },
	} {
		wrong := right
		change(&wrong)
		_, err := openRedis(t, url, wrong).Get("key")
		expectCode(t, what, err, flagstore.Backend)
	}
}

package flagstore

// #include <stdlib.h>
// #include <flagstore.h>
import "C"

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"
)

// RedisOptions says how to open a store on Redis; zero is the default in every field. Printed with fmt it does not show
// the password, which goes into no JSON either.
type RedisOptions struct {
	RemoteOptions                // Lazy, CallTimeout, FallbackPath and so on
	Hash           string        // the name of the hash; "": "flagstore"
	Username       string        // stands before the one in the URL
	Password       string        `json:"-"` // likewise
	PasswordFile   string        // has the password, and is read at each connect
	TLSCAFile      string        // PEM: who is trusted; "": whom the system trusts
	TLSCertFile    string        // PEM: what the server wants to see
	TLSKeyFile     string        // PEM: its key
	TLSServerName  string        // whose certificate the server must have; "": the host's
	SentinelMaster string        // of the primary that the Sentinels in the URL know; user and password there are theirs
	Connections    int           // how many there are for reads and changes at most; 0: 4
	WaitReplicas   int           // a change that so many replicas have not confirmed is NotDurable, though it is made
	Wait           time.Duration // within this; 0: 0.1 s
}

// Format prints the options with the password blotted out.
func (o RedisOptions) Format(to fmt.State, verb rune) {
	type plain RedisOptions
	if o.Password != "" {
		o.Password = "***"
	}
	format := "%"
	for _, flag := range "+-# 0" {
		if to.Flag(int(flag)) {
			format += string(flag)
		}
	}
	fmt.Fprintf(to, format+string(verb), plain(o))
}

// OpenRedis opens the flags in the hash "flagstore" of the Redis at the URL, a field of which is a key and its value
// JSON. The URL is redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE], rediss:// for TLS, or
// redis+unix:///PATH/OF/SOCKET[?db=DATABASE].
func OpenRedis(url string) (*Store, error) { return OpenRedisWith(url, RedisOptions{}) }

// OpenRedisWith opens the flags in a Redis as the options say. Only a Watched store connects now: it fails with
// Unavailable if its first flags do not come in time and there is no fallback file, and with Backend in the words of a
// server that refuses. It fails with NotImplemented if the library was built without Redis: see HasFeature. No message
// has a password.
func OpenRedisWith(url string, options RedisOptions) (*Store, error) {
	if !HasFeature("redis") { // then it may not even have the function
		return nil, newError(NotImplemented, "the library in use was built without Redis", nil)
	}
	var texts cTexts
	defer texts.free()
	remote := options.RemoteOptions.c(&texts)
	defer C.free(unsafe.Pointer(remote))
	given := &C.flagstore_redis_options_t{
		size:            C.sizeof_flagstore_redis_options_t,
		remote:          remote,
		hash:            texts.add("Hash", options.Hash),
		username:        texts.add("Username", options.Username),
		password:        texts.add("Password", options.Password),
		password_file:   texts.add("PasswordFile", options.PasswordFile),
		tls_ca_file:     texts.add("TLSCAFile", options.TLSCAFile),
		tls_cert_file:   texts.add("TLSCertFile", options.TLSCertFile),
		tls_key_file:    texts.add("TLSKeyFile", options.TLSKeyFile),
		tls_server_name: texts.add("TLSServerName", options.TLSServerName),
		sentinel_master: texts.add("SentinelMaster", options.SentinelMaster),
		connections:     limited(options.Connections),
		wait_replicas:   limited(options.WaitReplicas),
		wait_ms:         limitedMilliseconds(options.Wait),
	}
	address := texts.add("the URL", url)
	if texts.err != nil {
		return nil, texts.err
	}
	if address == nil {
		return nil, newError(InvalidArgument, "the URL is empty", nil)
	}
	var failed *C.flagstore_error_t
	return adopt(C.flagstore_redis_open(address, given, &failed), failed)
}

// limited is the nearest number that C takes.
func limited(n int) C.int32_t {
	switch {
	case n < math.MinInt32:
		return math.MinInt32
	case n > math.MaxInt32:
		return math.MaxInt32
	default:
		return C.int32_t(n)
	}
}

// cTexts are copies of texts for C, all freed at once.
type cTexts struct {
	all []*C.char
	err error // of the first that C cannot have; it does not show the text, which may be a password
}

// add gives NULL, the default, for "".
func (t *cTexts) add(what, text string) *C.char {
	if text == "" {
		return nil
	}
	if strings.IndexByte(text, 0) >= 0 {
		if t.err == nil {
			t.err = newError(InvalidArgument, what+" contains a NUL", nil)
		}
		return nil
	}
	copied := C.CString(text)
	t.all = append(t.all, copied)
	return copied
}

func (t *cTexts) free() {
	for _, text := range t.all {
		C.free(unsafe.Pointer(text))
	}
}

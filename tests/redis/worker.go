// One client of faults.py in Go; what it does is said in worker.c.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"flagstore"
)

func die(words ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"worker:"}, words...)...)
	os.Exit(2)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		die(err)
	}
	return n
}

func milliseconds(text string) time.Duration { return time.Duration(number(text)) * time.Millisecond }

// optionsOf has the names that C has for them.
func optionsOf(words []string) (o flagstore.RedisOptions) {
	texts := map[string]*string{
		"fallback_path": &o.FallbackPath, "hash": &o.Hash, "username": &o.Username, "password": &o.Password,
		"password_file": &o.PasswordFile, "tls_ca_file": &o.TLSCAFile, "tls_cert_file": &o.TLSCertFile,
		"tls_key_file": &o.TLSKeyFile, "tls_server_name": &o.TLSServerName, "sentinel_master": &o.SentinelMaster,
	}
	times := map[string]*time.Duration{
		"open_timeout_ms": &o.OpenTimeout, "call_timeout_ms": &o.CallTimeout, "max_stale_ms": &o.MaxStale,
		"verify_ms": &o.Verify, "spread_ms": &o.Spread, "retry_max_ms": &o.RetryMax, "wait_ms": &o.Wait,
	}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if text, ok := texts[name]; ok {
			*text = value
			continue
		}
		if duration, ok := times[name]; ok {
			*duration = milliseconds(value)
			continue
		}
		switch name {
		case "read_mode":
			o.ReadMode = flagstore.ReadMode(number(value))
		case "when_lost":
			o.WhenLost = flagstore.WhenLost(number(value))
		case "flags":
			o.ReadOnly, o.Lazy = number(value)&2 != 0, number(value)&4 != 0
		case "max_bytes":
			o.MaxBytes = uint64(number(value))
		case "connections":
			o.Connections = number(value)
		case "wait_replicas":
			o.WaitReplicas = number(value)
		default:
			die("no option", word)
		}
	}
	return o
}

type client struct {
	store    *flagstore.Store
	watch    *flagstore.Watch
	revision uint64
	mu       sync.Mutex
	seen     []string
}

func (c *client) note(key string, _, now []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, key+"="+orAbsent(now))
}

func (c *client) tellSeen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := strings.Join(c.seen, " ")
	c.seen = nil
	return told
}

func orAbsent(value json.RawMessage) string {
	if value == nil {
		return "absent"
	}
	return string(value)
}

func orNil(text string) json.RawMessage {
	if text == "absent" {
		return nil
	}
	return json.RawMessage(text)
}

func (c *client) commit(key, expected, value string) error {
	batch := flagstore.NewBatch()
	defer batch.Close()
	if err := batch.Expect(key, orNil(expected)); err != nil {
		return err
	}
	if err := batch.Set(key, json.RawMessage(value)); err != nil {
		return err
	}
	return c.store.Commit(batch)
}

func (c *client) wait(timeout string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), milliseconds(timeout))
	defer cancel()
	revision, err := c.store.Wait(ctx, c.revision)
	if errors.Is(err, context.DeadlineExceeded) {
		return "false", nil
	}
	if err == nil {
		c.revision = revision
	}
	return "true", err
}

func (c *client) sync(timeout string) error {
	ctx, cancel := context.WithTimeout(context.Background(), milliseconds(timeout))
	defer cancel()
	err := c.store.Sync(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // what C says
		return &flagstore.Error{Code: flagstore.Unavailable, Message: err.Error()}
	}
	return err
}

func (c *client) close() {
	if c.watch != nil {
		c.watch.Close()
	}
	c.store.Close()
}

func (c *client) status() (string, error) {
	now, err := c.store.Status()
	return fmt.Sprint(int(now.State), int(now.Push), now.Age.Milliseconds(), now.Reconnects, now.Refreshes), err
}

func (c *client) list() (string, error) {
	all, err := c.store.ListAll()
	if err != nil {
		return "", err
	}
	keys, err := json.Marshal(all) // sorted
	return string(keys), err
}

func (c *client) call(words []string) (value string, err error) {
	switch command, words := words[0]+" "+strconv.Itoa(len(words)-2), words[2:]; command {
	case "get 1":
		var found json.RawMessage
		found, err = c.store.Get(words[0])
		return orAbsent(found), err
	case "set 2":
		return "", c.store.Set(words[0], json.RawMessage(words[1]))
	case "delete 1":
		existed, err := c.store.Delete(words[0])
		return strconv.FormatBool(existed), err
	case "list 0":
		return c.list()
	case "commit 3":
		return "", c.commit(words[0], words[1], words[2])
	case "revision 0":
		revision, err := c.store.Revision()
		if err == nil {
			c.revision = revision
		}
		return strconv.FormatUint(revision, 10), err
	case "wait 1":
		return c.wait(words[0])
	case "watch 0":
		c.watch, err = c.store.WatchAll(c.note)
		return "", err
	case "seen 0":
		return c.tellSeen(), nil
	case "status 0":
		return c.status()
	case "sync 1":
		return "", c.sync(words[0])
	case "close 0":
		c.close()
		return "", nil
	default:
		die("what is", command)
		return "", nil
	}
}

var clients = map[string]*client{}

func resultOf(words []string) (string, error) {
	if words[0] == "open" && len(words) > 2 {
		store, err := flagstore.OpenRedisWith(words[2], optionsOf(words[3:]))
		if err == nil {
			clients[words[1]] = &client{store: store, revision: 1}
		}
		return "", err
	}
	client := clients[words[1]]
	if client == nil {
		die("no handle", words[1])
	}
	if words[0] == "close" {
		delete(clients, words[1])
	}
	return client.call(words)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			die("not a command")
		}
		start, code := time.Now(), 0
		value, err := resultOf(words)
		elapsed := time.Since(start)
		var failed *flagstore.Error
		if errors.As(err, &failed) {
			code, value = int(failed.Code), failed.Message
		} else if err != nil {
			die(err)
		}
		value = strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, value)
		fmt.Printf("%d %.3f %s\n", code, float64(elapsed)/float64(time.Millisecond), value)
	}
	for _, client := range clients {
		client.close()
	}
}

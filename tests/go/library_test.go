package flagstore_test

import (
	"strings"
	"testing"

	"flagstore"
)

func TestTheLibrarySaysWhatItIs(t *testing.T) {
	if version := flagstore.Version(); strings.Count(version, ".") != 2 {
		t.Errorf("got version %q", version)
	}
	for _, feature := range []string{"memory", "file", "backend", "checked", "watched", "snapshot", "batch", "watch"} {
		expect(t, feature, flagstore.HasFeature(feature), nil, true)
	}
	for _, feature := range []string{"", "telepathy", "\xff", "file\x00"} {
		expect(t, feature, flagstore.HasFeature(feature), nil, false)
	}
}

func TestTheLogGoesWhereItIsSent(t *testing.T) {
	type line struct {
		level   flagstore.LogLevel
		message string
	}
	lines := make(chan line, 100)
	flagstore.SetLog(flagstore.LogWarn, func(level flagstore.LogLevel, message string) { lines <- line{level, message} })
	defer flagstore.SetLog(0, nil)
	store, err := flagstore.OpenMemory()
	must(t, err)
	defer store.Close()
	expectCode(t, "Set", store.Set("key", raw("tru")), flagstore.InvalidJSON)
	if got := soon(t, "the log", lines); got.level != flagstore.LogWarn || !strings.Contains(got.message, "key") {
		t.Errorf("got %v, expected a warning that names the key", got)
	}
	flagstore.SetLog(flagstore.LogError, func(level flagstore.LogLevel, message string) { lines <- line{level, message} })
	expectCode(t, "Set", store.Set("key", raw("tru")), flagstore.InvalidJSON)
	expect(t, "lines that are not grave enough", len(lines), nil, 0)
	flagstore.SetLog(flagstore.LogDebug, nil)
	expectCode(t, "Set", store.Set("key", raw("tru")), flagstore.InvalidJSON)
	expect(t, "lines once it is off", len(lines), nil, 0)
}

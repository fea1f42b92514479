package flagstore_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"flagstore"
)

type rollout struct {
	Percent int      `json:"percent"`
	To      []string `json:"to,omitempty"`
}

func TestValuesAreReadAndStoredAsTheProgramsOwnTypes(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		given := rollout{25, []string{"AT", "CH <>&"}}
		must(t, store.SetFrom("rollout\x00", given))
		expectJSON(t, store, "rollout\x00", `{"percent":25,"to":["AT","CH <>&"]}`)
		got, err := flagstore.GetAs(store, "rollout\x00", rollout{})
		expect(t, "GetAs", got, err, given)
		var into rollout
		found, err := store.GetInto("rollout\x00", &into)
		expect(t, "GetInto", found, err, true)
		expect(t, "what it read", into, nil, given)
		text, err := flagstore.GetAs[json.RawMessage](store, "rollout\x00", nil)
		expect(t, "GetAs of JSON", string(text), err, `{"percent":25,"to":["AT","CH <>&"]}`)
		none, err := flagstore.GetAs(store, "absent", map[string]int{"as": 1})
		expect(t, "GetAs of nothing", none, err, map[string]int{"as": 1})
		found, err = store.GetInto("absent", &into)
		expect(t, "GetInto of nothing", found, err, false)
		expect(t, "what is left alone", into, nil, given)
	})
}

func TestAValueThatDoesNotFitIsAMismatchAndTheFallbackIsWhole(t *testing.T) {
	onEachKind(t, func(t *testing.T, store *flagstore.Store) {
		must(t, store.Set("rollout", raw(`{"percent":"all","to":["AT"]}`)))
		got, err := flagstore.GetAs(store, "rollout", rollout{Percent: 5})
		expectCode(t, "GetAs", err, flagstore.TypeMismatch)
		expect(t, "the fallback", got, nil, rollout{Percent: 5})
		var reason *json.UnmarshalTypeError
		if !errors.As(err, &reason) || reason.Field != "percent" {
			t.Errorf("got %v, expected encoding/json's reason behind it", err)
		}
		found, err := store.GetInto("rollout", &rollout{})
		expectCode(t, "GetInto", err, flagstore.TypeMismatch)
		expect(t, "found", found, nil, true)
		err = store.SetFrom("rollout", func() {})
		expectCode(t, "SetFrom", err, flagstore.InvalidArgument)
		if unsupported := new(json.UnsupportedTypeError); !errors.As(err, &unsupported) {
			t.Errorf("got %v of type %v, expected encoding/json's reason", err, reflect.TypeOf(err))
		}
	})
}

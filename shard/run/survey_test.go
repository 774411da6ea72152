package run_test

import (
	"bytes"
	"testing"

	. "actfleet/shard/run"
	"actfleet/shard/store"
)

// Whatever is done to an object's size is seen, with a manifest to the byte, without one when its vectors cannot be in
// it; what lies beside is named.
func TestLookComparesSizes(t *testing.T) {
	p := testPlan()
	for name, c := range map[string]struct {
		finish bool
		with   func(shard []byte) []byte // nil: no object
		want   State
	}{
		"whole":                    {true, bytes.Clone, Present},
		"missing":                  {true, nil, Missing},
		"empty":                    {true, func([]byte) []byte { return nil }, Damaged},
		"cut":                      {true, func(b []byte) []byte { return b[:len(b)-1] }, Damaged},
		"longer":                   {true, func(b []byte) []byte { return append(bytes.Clone(b), 0) }, Damaged},
		"whole, no manifest":       {false, bytes.Clone, Present},
		"missing, no manifest":     {false, nil, Missing},
		"empty, no manifest":       {false, func([]byte) []byte { return nil }, Damaged},
		"half there, no manifest":  {false, func(b []byte) []byte { return b[:len(b)/4] }, Damaged},
		"PAR1 alone, no manifest":  {false, func([]byte) []byte { return []byte("PAR1....PAR1") }, Damaged},
		"other unit's, with sizes": {true, func([]byte) []byte { return make([]byte, 3000) }, Damaged},
	} {
		st := newRun(t, p)
		if c.finish {
			if _, done, err := Finish(t.Context(), st, p); err != nil || !done {
				t.Fatal(done, err)
			}
		}
		whole, err := store.Get(t.Context(), st, UnitKey(0), 1<<20)
		must(t, err)
		must(t, st.Delete(t.Context(), UnitKey(0)))
		if c.with != nil {
			must(t, store.Put(t.Context(), st, UnitKey(0), c.with(whole)))
		}
		for _, stray := range []string{UnitKey(999), "acts/notes.txt"} {
			must(t, store.Put(t.Context(), st, stray, whole))
		}
		s, err := Look(t.Context(), st, p)
		must(t, err)
		if s.Units[0] != c.want || s.Count(Present) < 2 || len(s.Damaged) != s.Count(Damaged) || len(s.Stray) != 2 || s.Stray[1] != UnitKey(999) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestLookNamesAManifestThatIsNone(t *testing.T) {
	p := testPlan()
	other := p
	other.MaxTokens = 7
	for _, text := range []string{"{", `{"plan_id":"` + other.ID() + `","units":[]}`} {
		st := newRun(t, p)
		must(t, store.Put(t.Context(), st, KeyManifest, []byte(text)))
		s, err := Look(t.Context(), st, p)
		if err != nil || len(s.Damaged) != 1 || s.Count(Present) != 3 {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

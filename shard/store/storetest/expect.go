package storetest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"actfleet/shard/store"
)

func randomBytes(n int) []byte {
	var seed [32]byte
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func create(t *testing.T, s store.Store, key string) store.Pending {
	t.Helper()
	p, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Abort() })
	return p
}

func put(t *testing.T, s store.Store, key string, data []byte) {
	t.Helper()
	if err := store.Put(t.Context(), s, key, data); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, s store.Store, key string) store.Object {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func wantObject(t *testing.T, s store.Store, key string, want []byte) {
	t.Helper()
	got, err := store.Get(t.Context(), s, key, int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s holds %d bytes that differ from the %d written", key, len(got), len(want))
	}
}

func wantKeys(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	infos, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, info := range infos {
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list %q = %q, want %q", prefix, got, want)
	}
}

package fault_test

import (
	"errors"
	"syscall"
	"testing"

	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/shard/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return fault.Wrap(mem.New(nil), fault.Faults{}) })
}

// use does one of each operation.
func use(t *testing.T, s store.Store) error {
	if err := store.Put(t.Context(), s, "k", []byte("value")); err != nil {
		return err
	}
	if _, err := store.Get(t.Context(), s, "k", 10); err != nil {
		return err
	}
	if _, err := s.List(t.Context(), ""); err != nil {
		return err
	}
	return s.Delete(t.Context(), "k")
}

func TestEveryOperationFails(t *testing.T) {
	for _, after := range []bool{false, true} {
		n := 0
		for {
			n++
			s := fault.Wrap(mem.New(nil), fault.Faults{FailAt: n, After: after})
			err := use(t, s)
			if !s.Fired() {
				if err != nil {
					t.Errorf("nothing failed, and %v", err)
				}
				break
			}
			if err != nil && !errors.Is(err, fault.ErrInjected) {
				t.Errorf("operation %d: %v", n, err)
			}
		}
		if n < 8 {
			t.Errorf("only %d operations could fail", n-1)
		}
	}
}

func TestFullDisk(t *testing.T) {
	inner := mem.New(nil)
	s := fault.Wrap(inner, fault.Faults{Space: 8})
	if err := store.Put(t.Context(), s, "a", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), s, "b", []byte("12345")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("put: %v, want ENOSPC", err)
	}
	if infos, err := inner.List(t.Context(), ""); err != nil || len(infos) != 1 {
		t.Errorf("%v, %v", infos, err)
	}
}

// A lost reply of Commit: the object is there and the caller does not know.
func TestLostReply(t *testing.T) {
	inner := mem.New(nil)
	s := fault.Wrap(inner, fault.Faults{FailAt: 3, After: true})
	if err := store.Put(t.Context(), s, "k", []byte("v")); !errors.Is(err, fault.ErrInjected) {
		t.Errorf("put: %v", err)
	}
	if _, err := inner.Open(t.Context(), "k"); err != nil {
		t.Errorf("the object is not there: %v", err)
	}
}

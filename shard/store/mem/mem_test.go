package mem_test

import (
	"testing"

	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return mem.New(nil) })
}

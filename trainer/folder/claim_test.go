package folder_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "actfleet/trainer/folder"
)

// Of many who claim a folder at once one has it at a time, and the others are told who.
func TestOneHolderAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "coder")
	var holders, had, told atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 20 {
				release, err := Claim(t.Context(), dir, 0)
				if errors.Is(err, ErrBusy) {
					if strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid(), " on ")) {
						told.Add(1)
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the folder", n)
				}
				had.Add(1)
				time.Sleep(time.Millisecond)
				holders.Add(-1)
				release()
			}
		})
	}
	all.Wait()
	if had.Load() == 0 || told.Load() == 0 {
		t.Errorf("%d had it, %d were told who has it", had.Load(), told.Load())
	}
	if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
		t.Errorf("%v was left", left)
	}
}

func TestClaimWaitsForTheFormerHolder(t *testing.T) {
	dir := t.TempDir()
	release, err := Claim(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, release)
	again, err := Claim(t.Context(), dir, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	again()
	if _, err := os.Lstat(dir); err != nil {
		t.Errorf("a folder that was there before: %v", err)
	}
}

// What is held by a claim is not made, and what is being made is not overtaken by a claim.
func TestClaimAndMakeDoNotMix(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "coder")
	release, err := Claim(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	put := func(temp string) error { return os.WriteFile(filepath.Join(temp, "cfg.json"), nil, 0o600) }
	if err := Make(dir, put); !errors.Is(err, ErrExists) {
		t.Errorf("make what is claimed: %v", err)
	}
	release()
	err = Make(dir, func(temp string) error {
		release, err = Claim(t.Context(), dir, 0)
		return errors.Join(err, put(temp))
	})
	if !errors.Is(err, ErrExists) {
		t.Errorf("claimed while it was made: %v", err)
	}
	release()
	if err := Make(dir, put); err != nil {
		t.Errorf("after both: %v", err)
	}
}

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"actfleet/shard/store"
)

// phases are the moments between two system calls of a put.
var phases = []string{"begun", "written", "synced", "linked"}

// dieAfter does what Create, Write and Commit do, up to a phase, and kills its own process there.
func dieAfter(s *Store, phase string) error {
	begin := beginAnonymous
	if s.named {
		begin = beginNamed
	}
	f, err := begin(s.dir)
	if err != nil {
		return err
	}
	write := func() error { _, err := f.Write(racerData("0")); return err }
	link := func() error { return f.link(filepath.Join(s.dir, "k")) }
	for i, step := range []func() error{nil, write, f.Sync, link} {
		if step != nil {
			if err := step(); err != nil {
				return err
			}
		}
		if phases[i] == phase {
			return unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
	return fmt.Errorf("no phase %q", phase)
}

func TestDiesInEveryPhase(t *testing.T) {
	kinds(t, func(t *testing.T, named bool) {
		for _, phase := range phases {
			s := open(t, named)
			cmd := racerCommand(s, 0)
			cmd.Env = append(cmd.Env, racerPhase+"="+phase)
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.Exited() {
				t.Fatalf("%s: not killed: %v, %s", phase, err, out)
			}
			if !named {
				wantNothingHidden(t, s)
			}
			err := store.Put(context.Background(), s, "k", []byte("next"))
			if committed := phase == "linked"; committed != errors.Is(err, store.ErrExists) || !committed && err != nil {
				t.Errorf("%s: put after the death: %v", phase, err)
			}
			if data, err := store.Get(t.Context(), s, "k", racerSize); err != nil || len(data) != racerSize && string(data) != "next" {
				t.Errorf("%s: %d bytes, %v", phase, len(data), err)
			}
			wantNothingHidden(t, s)
		}
	})
}

package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"actfleet/shard/store"
)

// The race between processes: the test binary runs itself. A racer opens the store of its directory, waits for a line
// on its standard input for each key, and puts its own bytes there.
const (
	racerDir   = "ACTFLEET_TEST_RACER_DIR"
	racerNamed = "ACTFLEET_TEST_RACER_NAMED"
	racerID    = "ACTFLEET_TEST_RACER_ID"
	racerPhase = "ACTFLEET_TEST_RACER_PHASE"
)

const (
	processes   = 32
	processKeys = 6
	racerSize   = 300_000
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(racerDir); dir != "" {
		if err := runRacer(dir, os.Getenv(racerNamed) == "true", os.Getenv(racerID)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runRacer prints "won KEY" or "lost KEY" after each put.
func runRacer(dir string, named bool, id string) error {
	s, err := New(dir)
	if err != nil {
		return err
	}
	s.named = named
	if phase := os.Getenv(racerPhase); phase != "" {
		return dieAfter(s, phase)
	}
	keys := bufio.NewScanner(os.Stdin)
	for keys.Scan() {
		if err := racerPut(os.Stdout, s, keys.Text(), id); err != nil {
			return err
		}
	}
	return keys.Err()
}

func racerPut(out io.Writer, s *Store, key, id string) error {
	p, err := s.Create(context.Background(), key)
	if err != nil {
		return err
	}
	for part := racerData(id); len(part) > 0; part = part[10_000:] {
		if _, err := p.Write(part[:10_000]); err != nil {
			return err
		}
	}
	switch err := p.Commit(context.Background()); {
	case err == nil:
		fmt.Fprintln(out, "won", key)
	case errors.Is(err, store.ErrExists):
		fmt.Fprintln(out, "lost", key)
	default:
		return err
	}
	return nil
}

// racerData is bytes of which every eight name the racer.
func racerData(id string) []byte {
	var b bytes.Buffer
	for b.Len() < racerSize {
		fmt.Fprintf(&b, "%8s", id)
	}
	return b.Bytes()[:racerSize]
}

type racer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   bytes.Buffer
	fault bytes.Buffer
}

func racerCommand(s *Store, id int) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), racerDir+"="+s.dir, fmt.Sprintf("%s=%v", racerNamed, s.named), fmt.Sprintf("%s=%d", racerID, id), "GOMAXPROCS=1")
	return cmd
}

func startRacer(t *testing.T, s *Store, id int) *racer {
	t.Helper()
	r := &racer{cmd: racerCommand(s, id)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.fault
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func key(k int) string { return fmt.Sprintf("acts/unit-%06d.parquet", k) }

// race runs all racers over all keys, kills those that victim picks after the given delay, and returns who won what.
func race(t *testing.T, s *Store, victim func(id int) (delay time.Duration, die bool)) map[string][]int {
	t.Helper()
	racers := make([]*racer, processes)
	for id := range racers {
		racers[id] = startRacer(t, s, id)
	}
	for k := range processKeys {
		for _, r := range racers {
			fmt.Fprintln(r.in, key(k))
		}
	}
	for id, r := range racers {
		r.in.Close()
		if delay, die := victim(id); die {
			time.AfterFunc(delay, func() { r.cmd.Process.Kill() })
		}
	}
	wins := map[string][]int{}
	for id, r := range racers {
		err := r.cmd.Wait()
		if _, die := victim(id); err != nil && !die {
			t.Errorf("racer %d: %v: %s", id, err, r.fault.String())
		}
		for line := range strings.Lines(r.out.String()) {
			if k, won := strings.CutPrefix(strings.TrimSpace(line), "won "); won {
				wins[k] = append(wins[k], id)
			}
		}
	}
	return wins
}

// wantOneWinner checks a key: one racer's bytes, whole, and nobody else says it won.
func wantOneWinner(t *testing.T, s *Store, key string, wins []int, mayMiss bool) {
	t.Helper()
	data, err := store.Get(t.Context(), s, key, racerSize)
	if err != nil {
		if !mayMiss || len(wins) > 0 {
			t.Errorf("%s: %v (winners %v)", key, err, wins)
		}
		return
	}
	id := strings.TrimSpace(string(data[:8]))
	if !bytes.Equal(data, racerData(id)) {
		t.Errorf("%s is not the bytes of one racer", key)
	}
	// A racer that was killed right after its commit did not get to say so.
	if len(wins) > 1 || len(wins) == 0 && !mayMiss || len(wins) == 1 && fmt.Sprint(wins[0]) != id {
		t.Errorf("%s holds the bytes of %s, winners say they are %v", key, id, wins)
	}
}

func TestProcessesRace(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	kinds(t, func(t *testing.T, named bool) {
		s := open(t, named)
		wins := race(t, s, func(int) (time.Duration, bool) { return 0, false })
		for k := range processKeys {
			wantOneWinner(t, s, key(k), wins[key(k)], false)
		}
		wantNothingHidden(t, s)
	})
}

// Racers die at moments spread over the whole race: while they start, write, sync, link and tidy up.
func TestProcessesDie(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	kinds(t, func(t *testing.T, named bool) {
		s := open(t, named)
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], 1)
		rng := rand.New(rand.NewChaCha8(seed))
		delays := make([]time.Duration, processes)
		for id := range delays {
			delays[id] = time.Duration(rng.Int64N(int64(400 * time.Millisecond)))
		}
		wins := race(t, s, func(id int) (time.Duration, bool) { return delays[id], id%4 != 0 })
		for k := range processKeys {
			wantOneWinner(t, s, key(k), wins[key(k)], true)
		}
		// Who comes next can commit what is not committed, and leaves the directory tidy.
		for k := range processKeys + 1 {
			if err := racerPut(io.Discard, s, key(k), "99"); err != nil {
				t.Errorf("%s after the race: %v", key(k), err)
			}
		}
		wantNothingHidden(t, s)
	})
}

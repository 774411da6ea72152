package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"actfleet/shard/store"
	"actfleet/shard/store/s3/s3test"
)

// TestFleet is the proof: for each seed eight processes, of which some are killed with -9, stopped and continued, cut off
// and started again, and one hangs until all others are done and commits then. Every row is there exactly once, every
// shard has the SHA-256 that one undisturbed node makes, no file is left over, and little work was done twice.
// scripts/fleet.sh runs it.
func TestFleet(t *testing.T) {
	p := newProof(t)
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("disk/seed=%d", seed), func(t *testing.T) { p.onDisk(t, seed, 0) })
		t.Run(fmt.Sprintf("bucket/seed=%d", seed), func(t *testing.T) { p.inBucket(t, seed) })
		t.Run(fmt.Sprintf("loss/seed=%d", seed), func(t *testing.T) { p.onDisk(t, seed, 0.2) })
	}
}

// onDisk is a trial in a directory, over a network that loses packets.
func (p *proof) onDisk(t *testing.T, seed uint64, loss float64) {
	out := filepath.Join(t.TempDir(), "run")
	tally := &p.disk
	if loss > 0 {
		if os.Getenv(netsAllowed) == "" {
			t.Skip("no packets are lost on loopback; coordinator/gossip tests that in memory")
		}
		tally = &p.loss
	}
	trial := p.trial(t, seed, out, loss, tally, func() int { return len(unitFiles(out)) })
	trial.run(nil)
	if got := sums(t, out); !sameSums(got, p.sums) {
		t.Errorf("other files or bytes than one node makes: %d files, want %d", len(got), len(p.sums))
	}
	wantNoRemains(t, out)
	trial.report(loggedTwice(t, out))
}

// inBucket is one in a bucket behind a proxy that loses one request in a hundred and delivers PUTs twice or loses their
// answers, on a server that is killed and started again in the middle.
func (p *proof) inBucket(t *testing.T, seed uint64) {
	server := s3test.Start(t, "fleet")
	trial := p.trial(t, seed, "s3://fleet/night/run", 0, &p.bucket, nil)
	proxy := s3test.NewProxy(t, trial.lab.servers+":0", server.URL(), s3test.Faults{RequestLost: 1, Twice: 5, PutAnswerLost: 5})
	st := openBucket(t, "s3://fleet/night/run") // not through the proxy
	trial.count = func() int { return unitObjects(t, st) }
	t.Setenv("ACTFLEET_S3_ENDPOINT", proxy.URL())
	trial.run(func() {
		server.Kill()
		time.Sleep(time.Second)
		server.Launch(t)
	})
	if got := bucketSums(t, st); !sameSums(got, p.sums) {
		t.Errorf("other objects or bytes than one node makes: %d objects, want %d", len(got), len(p.sums))
	}
	trial.report(trial.lost)
	t.Log(proxy.Seen())
}

// proof is what all trials share.
type proof struct {
	data string
	sums map[string][32]byte // of the shards that one node makes

	disk, bucket, loss tally // so far
}

// tally counts over the trials of a kind.
type tally struct{ twice, units, trials int }

func newProof(t *testing.T) *proof {
	t.Helper()
	seeds(t)
	p := &proof{data: manyPrompts(t, proofPrompts)}
	out := filepath.Join(t.TempDir(), "alone")
	alone := (&lab{t: t}).start(0, append(p.collect(out), "--data", p.data, "--threads", "0")...)
	if code := alone.wait(t); code != exitDone {
		t.Fatalf("the single node ended with %d: %s", code, alone.err.String())
	}
	p.sums = sums(t, out)
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	return p
}

// proofPrompts makes 37 units of two seconds of a core, so of eight where eight nodes share two: gossip's timings are
// those of production, where a claim takes up to a second to be known, and shorter units would be done twice for that.
const proofPrompts = 118000

func (p *proof) collect(out string) []string {
	return []string{"collect", "--model", tinyModel, "--sites", "fc1,resid", "--layers", "3", "--unit-prompts", "3200",
		"--out", out, "--threads", "1", "--json"}
}

// seeds are those of ACTFLEET_FLEET_SEEDS, "3" or "1-20"; without it the test is skipped.
func seeds(t *testing.T) (all []uint64) {
	t.Helper()
	var from, to uint64
	text := os.Getenv("ACTFLEET_FLEET_SEEDS")
	if text == "" {
		t.Skip("ACTFLEET_FLEET_SEEDS is not set; make test-fleet sets it")
	}
	if n, _ := fmt.Sscanf(text, "%d-%d", &from, &to); n == 1 {
		to = from
	} else if n == 0 {
		t.Fatalf("ACTFLEET_FLEET_SEEDS is %q; want 3 or 1-20", text)
	}
	for s := from; s <= to; s++ {
		all = append(all, s)
	}
	return all
}

// trial is one disturbed run.
type trial struct {
	*testing.T
	*proof
	tally *tally
	lab   *lab
	rng   *rand.Rand
	out   string
	count func() int // units committed

	nodes []*process // the latest of each place
	cut   []int      // nodes cut off now
	due   []later    // what was put off
	hung  int        // stopped until the end
	did   map[string]int
	lost  int // units begun twice and committed by the other one, of the nodes that ended by themselves
	began time.Time
}

// later is something to be done at a time.
type later struct {
	at time.Time
	do func()
}

const fleetSize = 8

func (p *proof) trial(t *testing.T, seed uint64, out string, loss float64, kind *tally, count func() int) *trial {
	t.Helper()
	return &trial{T: t, proof: p, tally: kind, lab: newLossyLab(t, fleetSize, loss, seed), rng: rand.New(rand.NewPCG(seed, 5)), out: out, count: count,
		nodes: make([]*process, fleetSize), hung: -1, did: map[string]int{}, began: time.Now()}
}

// run starts the fleet, disturbs it until most units are there, and waits for the end. middle, if any, is called at
// half of them.
func (tr *trial) run(middle func()) {
	tr.launch(0, append(tr.collect(tr.out), "--bind", tr.lab.ports[0], "--data", tr.data)...)
	tr.nodes[0].seed(tr.T)
	for i := 1; i < fleetSize; i++ {
		tr.join(i)
	}
	tr.until(2)
	for units := len(tr.sums); tr.count() < units*7/10; {
		if middle != nil && tr.count() >= units/2 {
			middle()
			middle = nil
		}
		tr.disturb()
		tr.wait(time.Duration(300+tr.rng.IntN(1200)) * time.Millisecond)
	}
	for len(tr.due) > 0 {
		tr.wait(100 * time.Millisecond)
	}
	tr.finish()
	wantOK(tr.T, "check", tr.out)
}

func (tr *trial) launch(i int, args ...string) { tr.nodes[i] = tr.lab.start(i, args...) }

// join starts node i, which knows of those that can answer.
func (tr *trial) join(i int) {
	var others []string
	for _, o := range tr.alive() {
		others = append(others, tr.lab.ports[o])
	}
	tr.launch(i, append(tr.collect(tr.out), "--bind", tr.lab.ports[i], "--join", strings.Join(others, ","))...)
}

// until waits for n units.
func (tr *trial) until(n int) {
	tr.Helper()
	for range 3000 {
		if tr.count() >= n {
			return
		}
		tr.wait(50 * time.Millisecond)
	}
	tr.Fatalf("never had %d units: %s", n, tr.nodes[0].err.String())
}

// wait lets time pass and does what is due.
func (tr *trial) wait(d time.Duration) {
	time.Sleep(d)
	var rest []later
	for _, l := range tr.due {
		if time.Now().Before(l.at) {
			rest = append(rest, l)
		} else {
			l.do()
		}
	}
	tr.due = rest
}

func (tr *trial) after(d time.Duration, do func()) {
	tr.due = append(tr.due, later{time.Now().Add(d), do})
}

// between draws a time.
func (tr *trial) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(tr.rng.Int64N(int64(hi-lo)))
}

// finish waits for all nodes, and lets the one that hangs go on when the others are done.
func (tr *trial) finish() {
	tr.Helper()
	order := append([]int(nil), tr.alive()...)
	if tr.hung >= 0 {
		order = append(order, tr.hung)
	}
	for _, i := range order {
		if i == tr.hung {
			tr.nodes[i].signal(tr.T, syscall.SIGCONT)
		}
		code := tr.nodes[i].wait(tr.T)
		if code != exitDone {
			tr.Errorf("node %d ended with %d: %s", i, code, tr.nodes[i].err.String())
			continue
		}
		var sum collectResult
		if err := json.Unmarshal([]byte(tr.nodes[i].out.String()), &sum); err != nil {
			tr.Errorf("node %d printed %q", i, tr.nodes[i].out.String())
		}
		tr.lost += sum.Lost + sum.Overtaken
	}
}

// alive are the nodes that run, but for the one that hangs.
func (tr *trial) alive() (all []int) {
	for i, p := range tr.nodes {
		if p != nil && i != tr.hung {
			all = append(all, i)
		}
	}
	return all
}

// report says what happened, and fails when too much was done twice: more than a third of one trial's units, of which a
// partition may double what both sides have in hand, and more than a tenth of those of many.
func (tr *trial) report(twice int) {
	units, all := len(tr.sums), tr.tally
	all.twice, all.units, all.trials = all.twice+twice, all.units+units, all.trials+1
	tr.Logf("%s: %v, %d of %d units done twice, %d of %d in all; %s", time.Since(tr.began).Round(time.Second), tr.did, twice, units, all.twice, all.units, tr.lab)
	if 3*twice > units || all.trials >= 10 && 10*all.twice > all.units {
		tr.Errorf("too many units were done twice")
	}
}

func sameSums(a, b map[string][32]byte) bool {
	for name, sum := range b {
		if a[name] != sum {
			return false
		}
	}
	return len(a) == len(b)
}

func unitFiles(out string) []string {
	files, _ := filepath.Glob(filepath.Join(out, "acts", "unit-*.parquet"))
	return files
}

// unitObjects counts the units in a bucket, 0 while its server is away.
func unitObjects(t *testing.T, st store.Store) int {
	infos, _ := st.List(t.Context(), "acts/")
	return len(infos)
}

// wantNoRemains checks that a run has no hidden or temporary file.
func wantNoRemains(t *testing.T, out string) {
	t.Helper()
	_ = filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasPrefix(d.Name(), ".") || strings.Contains(d.Name(), "pending")) {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
}

// loggedTwice counts the commits that came second and the units dropped for another node's, of killed nodes, too.
func loggedTwice(t *testing.T, out string) (n int) {
	t.Helper()
	logs, _ := filepath.Glob(filepath.Join(out, "log", "*.jsonl"))
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(data, []byte(`"event":"lost"`)) + bytes.Count(data, []byte(`"event":"overtaken"`))
	}
	return n
}

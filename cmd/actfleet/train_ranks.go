package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
	"actfleet/coordinator/rendezvous"
	"actfleet/internal/torch"
	"actfleet/internal/torch/reduce"
	"actfleet/trainer"
	"actfleet/trainer/parallel"
)

const ranksHelp = `
Several processes train together with --ranks N, each on its part of every batch: the first is given --bind HOST:PORT,
the others --join with that address. The batches, and but for rounding the result, are those of one process. Rank 0
alone writes. When a process dies the others say which and go on from the last checkpoint, with a new one if it comes.
`

// rankOptions are the flags of a training on several processes.
type rankOptions struct {
	fleet fleetOptions
	ranks int
}

func (o *rankOptions) flags(f *pflag.FlagSet) {
	f.IntVar(&o.ranks, "ranks", 0, "train on so many processes together, which find each other by --bind and --join")
	f.StringSliceVar(&o.fleet.join, "join", nil, "with --ranks: addresses HOST:PORT of processes to train together with")
	f.StringVar(&o.fleet.bind, "bind", "", "with --ranks: address to be joined at (with --join: 127.0.0.1:0, any free port)")
	f.StringVar(&o.fleet.secretFile, "secret-file", "", "with --ranks: file with a 16, 24 or 32 byte key, without which no process is let in")
}

// together tells whether other processes train along.
func (o rankOptions) together() bool {
	return o.ranks > 0 || len(o.fleet.join) > 0 || o.fleet.bind != ""
}

// check refuses what cannot be before anything is joined.
func (o rankOptions) check() error {
	switch {
	case !o.together():
		return nil
	case o.ranks < 1:
		return fmt.Errorf("%w: --join and --bind train on several processes: say on how many with --ranks", errUsage)
	case len(o.fleet.join) == 0 && o.fleet.bind == "":
		return fmt.Errorf("%w: --ranks %d needs --bind HOST:PORT on the first process and --join with that address on the others", errUsage, o.ranks)
	}
	return reduce.Available()
}

// crew is this process among those that train together.
type crew struct {
	options *trainOptions
	gossip  *gossip.Fleet
	place   *rendezvous.Place
	host    string
}

// patience is how long the ranks that are left wait for another one before they go on with fewer; one that comes later
// is taken in at the next step.
const patience = 5 * time.Second

// joinCrew opens this process's door to the others.
func (o *trainOptions) joinCrew(ctx context.Context, jobs []trainer.Job) (c *crew, err error) {
	secret, err := o.ranks.fleet.secret()
	if err != nil {
		return nil, err
	}
	c = &crew{options: o}
	if c.host, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("ask for the host name: %w", err)
	}
	node := coordinator.NewNodeID(c.host, os.Getpid(), time.Now())
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	c.gossip, err = gossip.Start(ctx, gossip.Config{Bind: o.ranks.fleet.bind, Join: o.ranks.fleet.join, Secret: secret, PlanID: trainingID(jobs),
		Node: node, Host: c.host, Preset: gossip.PresetFor(o.ranks.fleet.bind, o.ranks.fleet.join), Logger: log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.gossip.Close())
		}
	}()
	listen, err := net.Listen("tcp", net.JoinHostPort(c.ip(), "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the other ranks: %w", err)
	}
	c.place = rendezvous.New(rendezvous.Config{Node: node, Host: c.host, Members: c.gossip.Members, Job: jobLines(jobs), Secret: secret,
		Ranks: o.ranks.ranks, Patience: patience, Tell: tell}, listen)
	if err := c.gossip.Introduce(c.place.Addr()); err != nil {
		return nil, errors.Join(err, c.place.Close())
	}
	tell(fmt.Sprintf("%s listens on %s", node, c.gossip.Addr()))
	if len(o.ranks.fleet.join) > 0 && len(c.gossip.Members()) == 1 {
		tell("nobody answers yet at " + strings.Join(o.ranks.fleet.join, ", "))
	}
	return c, nil
}

func tell(line string) { fmt.Fprintf(os.Stderr, "train: %s\n", line) }

// ip is the address of this machine that the others reach.
func (c *crew) ip() string {
	host, _, _ := net.SplitHostPort(c.gossip.Addr())
	return host
}

func (c *crew) close() error { return errors.Join(c.place.Close(), c.gossip.Close()) }

// trainingID keeps trainings on other data, and collecting nodes, out of the fleet.
func trainingID(jobs []trainer.Job) string {
	h := sha256.New()
	fmt.Fprintln(h, "train")
	for _, r := range jobs[0].Runs {
		fmt.Fprintln(h, r.Plan.ID())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// jobLines is what must be the same for all ranks.
func jobLines(jobs []trainer.Job) (lines []string) {
	for _, j := range jobs {
		for key, v := range j.Recipe.Effective() {
			lines = append(lines, fmt.Sprintf("%s %s %s = %v", j.Recipe.Kind, j.Column, key, v))
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// trainTogether trains the jobs with other processes: in one group of ranks after the other, until one has ended the
// training.
func (o *trainOptions) trainTogether(ctx context.Context, jobs []trainer.Job, out io.Writer) error {
	c, err := o.joinCrew(ctx, jobs)
	if err != nil {
		return err
	}
	err = c.train(ctx, jobs, out)
	return errors.Join(err, c.close())
}

func (c *crew) train(ctx context.Context, jobs []trainer.Job, out io.Writer) error {
	for again := false; ; again = true {
		met, err := c.place.Gather(ctx, again)
		if errors.Is(err, rendezvous.ErrOver) {
			tell("the training has ended without this process")
			return nil
		}
		if err != nil {
			return err
		}
		err = c.trainAs(ctx, met, jobs, out)
		switch {
		case errors.Is(err, rendezvous.ErrGone) && ctx.Err() == nil:
			tell(fmt.Sprintf("%v; going on from the last checkpoint", cmp.Or(met.Why(), err)))
		case errors.Is(err, trainer.ErrRegroup):
			tell("the ranks change; going on from this step")
		default:
			return err
		}
		for i := range jobs {
			jobs[i].Resume = true
		}
	}
}

// trainAs trains the jobs as one rank of a group, which it leaves.
func (c *crew) trainAs(ctx context.Context, met *rendezvous.Group, jobs []trainer.Job, out io.Writer) (err error) {
	threads := c.share(met)
	tell(fmt.Sprintf("rank %d of %d, %d threads", met.Rank, met.World, threads))
	if met.Rank == 0 {
		unlock, err := lockFolder(ctx, c.options.out)
		if err != nil {
			met.Close(err.Error())
			return err
		}
		defer unlock()
	}
	g, err := joinGroup(ctx, met, c.ip())
	if err != nil {
		met.Close(err.Error())
		return err
	}
	for i := range jobs {
		jobs[i].Ranks = g
	}
	results, err := c.options.trainShown(ctx, jobs)
	g.close(err)
	if met.Rank == 0 {
		if err == nil {
			c.place.Dismiss()
		}
		return c.options.show(jobs, results, err, out)
	}
	if err == nil {
		fmt.Fprintf(out, "rank %d of %d: done; rank 0 (%s) has written %s\n", met.Rank, met.World, met.Nodes[0], c.options.out)
	}
	return err
}

// share sets with how many threads this rank computes: as --threads says, else its part of the machine's cores.
func (c *crew) share(met *rendezvous.Group) int {
	n := c.options.threads
	if n == 0 {
		here := 0
		for _, host := range met.Hosts {
			if host == c.host {
				here++
			}
		}
		n = max(1, runtime.NumCPU()/max(1, here))
	}
	torch.SetThreads(n)
	parallel.SetThreads(n)
	return n
}

// A former rank 0 that leaves has the lock for a moment longer.
const (
	lockTries = 100
	lockPause = 100 * time.Millisecond
)

// lockFolder keeps two groups from writing to one folder, as far as its file system knows locks. The lock ends with
// the process at the latest.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	for range lockTries {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return func() { f.Close() }, nil
		}
		if err := sleep(ctx, lockPause); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	abs, _ := filepath.Abs(dir)
	return nil, errors.Join(fmt.Errorf("%s: another process trains in this folder", abs), f.Close())
}

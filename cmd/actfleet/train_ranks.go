package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
	"actfleet/trainer"
	"actfleet/trainer/crew"
)

const ranksHelp = `
Several processes train together with --ranks N, each on its slice of every batch: the first gets --bind HOST:PORT,
the others --join with that address. The batches, and up to rounding the result, are those of one process. Only rank 0
writes. When a process dies the others report it and continue from the last checkpoint, with a replacement if one joins.
`

// rankOptions are the flags of a training on several processes.
type rankOptions struct {
	fleet fleetOptions
	ranks int
}

func (o *rankOptions) flags(f *pflag.FlagSet) {
	f.IntVar(&o.ranks, "ranks", 0, "train on this many processes, which find each other through --bind and --join")
	f.StringSliceVar(&o.fleet.join, "join", nil, "with --ranks: addresses HOST:PORT of processes to train together with")
	f.StringVar(&o.fleet.bind, "bind", "", "with --ranks: address to listen on (with --join: 127.0.0.1:0, any free port)")
	f.StringVar(&o.fleet.secretFile, "secret-file", "", "with --ranks: file with a 16, 24 or 32 byte key; processes without it are rejected")
}

// distributed tells whether other processes train along.
func (o rankOptions) distributed() bool {
	return o.ranks > 0 || len(o.fleet.join) > 0 || o.fleet.bind != ""
}

// check refuses what cannot be before anything is joined.
func (o rankOptions) check() error {
	switch {
	case !o.distributed():
		return nil
	case o.ranks < 1:
		return fmt.Errorf("%w: --join and --bind train on several processes: say on how many with --ranks", errUsage)
	case len(o.fleet.join) == 0 && o.fleet.bind == "":
		return fmt.Errorf("%w: --ranks %d needs --bind HOST:PORT on the first process and --join with that address on the others", errUsage, o.ranks)
	}
	return crew.Available()
}

func tell(line string) { fmt.Fprintf(os.Stderr, "train: %s\n", line) }

// trainingID keeps trainings on other data, and collecting nodes, out of the fleet.
func trainingID(jobs []trainer.Job) string {
	h := sha256.New()
	fmt.Fprintln(h, "train")
	for _, r := range jobs[0].Runs {
		fmt.Fprintln(h, r.Plan.ID())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// trainDistributed trains the jobs with other processes, and prints what came of them where this one has written it.
func (o *trainOptions) trainDistributed(ctx context.Context, jobs []trainer.Job, out io.Writer) error {
	if trainer.Ended(jobs) {
		return o.tooLate()
	}
	if err := trainer.CheckRanks(jobs); err != nil {
		return err
	}
	cfg := crew.Config{Ranks: o.ranks.ranks, Threads: o.threads, Tell: tell, Train: o.trainShown}
	var err error
	if cfg.Secret, err = o.ranks.fleet.secret(); err != nil {
		return err
	}
	if cfg.Host, err = os.Hostname(); err != nil {
		return fmt.Errorf("ask for the host name: %w", err)
	}
	cfg.Node = coordinator.NewNodeID(cfg.Host, os.Getpid(), time.Now())
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	fleet, err := gossip.Start(ctx, gossip.Config{Bind: o.ranks.fleet.bind, Join: o.ranks.fleet.join, Secret: cfg.Secret, PlanID: trainingID(jobs),
		Node: cfg.Node, Host: cfg.Host, Preset: gossip.PresetFor(o.ranks.fleet.bind, o.ranks.fleet.join), Logger: log})
	if err != nil {
		return err
	}
	tell(fmt.Sprintf("%s listens on %s", cfg.Node, fleet.Addr()))
	if len(o.ranks.fleet.join) > 0 && len(fleet.Members()) == 1 {
		tell("nobody answers yet at " + strings.Join(o.ranks.fleet.join, ", "))
	}
	cfg.Fleet = fleet
	res, err := crew.Run(ctx, cfg, jobs)
	return errors.Join(o.showOutcome(jobs, res, err, out), fleet.Close())
}

// tooLate is the end of a process whose training has ended before it came. The first process of a training would begin
// it again, and is refused as one process alone is.
func (o *trainOptions) tooLate() error {
	if len(o.ranks.fleet.join) == 0 && !o.resume {
		return fmt.Errorf("%s: %w, which has ended; choose another place", o.out, trainer.ErrExists)
	}
	tell("the training has ended; what it made lies in " + o.out)
	return nil
}

func (o *trainOptions) showOutcome(jobs []trainer.Job, res crew.Outcome, err error, out io.Writer) error {
	switch {
	case res.Ended:
		tell("the training has ended without this process")
	case res.Rank == 0:
		return o.show(jobs, res.Results, err, out)
	case err == nil:
		fmt.Fprintf(out, "rank %d of %d: done; rank 0 (%s) has written %s\n", res.Rank, res.World, res.Writer, o.out)
	}
	return err
}

package crew

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"

	"actfleet/coordinator"
	"actfleet/coordinator/rendezvous"
	"actfleet/internal/torch/reduce"
	"actfleet/trainer"
	"actfleet/trainer/parallel"
)

// Fleet is how the processes find each other.
type Fleet interface {
	Members() []coordinator.Member
	// Introduce tells the others the address of this process's door.
	Introduce(addr string) error
	// Addr is HOST:PORT of this process among them.
	Addr() string
}

// Config is this process's part in a training on several.
type Config struct {
	Node    coordinator.NodeID
	Host    string // this machine's name
	Fleet   Fleet
	Secret  []byte                                                                  // of the fleet; empty without
	Ranks   int                                                                     // of the first group; later ones may have fewer
	Threads int                                                                     // of this process; 0 is its part of the machine's cores
	Tell    func(line string)                                                       // is told what a person should know
	Train   func(ctx context.Context, jobs []trainer.Job) ([]trainer.Result, error) // trainer.TrainAll, or around it
}

// Outcome is what came of a training for one of its processes.
type Outcome struct {
	Ended       bool               // without this process, which came too late
	Rank, World int                // of the last group
	Writer      coordinator.NodeID // rank 0, which has written the coders
	Results     []trainer.Result   // on rank 0
}

// Available is an error that says what is missing where this program cannot train on several processes.
func Available() error { return reduce.Available() }

// patience is how long the ranks that are left wait for another one before they go on with fewer; one that comes later
// is taken in at the next step.
const patience = 5 * time.Second

// gatherWait is how long a process waits for the ranks that it needs: a queue may start them one after the other.
const gatherWait = time.Hour

// crew is this process among those that train together.
type crew struct {
	Config
	place *rendezvous.Place
}

// Run trains the jobs with other processes: in one group of ranks after the other, until one has ended the training.
func Run(ctx context.Context, cfg Config, jobs []trainer.Job) (out Outcome, err error) {
	c := &crew{Config: cfg}
	listen, err := net.Listen("tcp", net.JoinHostPort(c.ip(), "0"))
	if err != nil {
		return out, fmt.Errorf("listen for the other ranks: %w", err)
	}
	c.place = rendezvous.New(rendezvous.Config{Node: cfg.Node, Host: cfg.Host, Members: cfg.Fleet.Members, Job: jobLines(jobs), Secret: cfg.Secret,
		Ranks: cfg.Ranks, Patience: patience, Within: gatherWait,
		Over: func() bool { return trainer.Ended(jobs) }, Tell: cfg.Tell}, listen)
	defer func() { err = errors.Join(err, c.place.Close()) }()
	if err := cfg.Fleet.Introduce(c.place.Addr()); err != nil {
		return out, err
	}
	return c.run(ctx, jobs)
}

// ip is the address of this machine that the others reach.
func (c *crew) ip() string {
	host, _, _ := net.SplitHostPort(c.Fleet.Addr())
	return host
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

// run is one group after the other.
func (c *crew) run(ctx context.Context, jobs []trainer.Job) (Outcome, error) {
	for again := false; ; again = true {
		met, err := c.place.Gather(ctx, again)
		if errors.Is(err, rendezvous.ErrOver) {
			return Outcome{Ended: true}, nil
		}
		if err != nil {
			return Outcome{}, err
		}
		out := Outcome{Rank: met.Rank, World: met.World, Writer: met.Nodes[0]}
		out.Results, err = c.train(ctx, met, jobs)
		switch {
		case errors.Is(err, rendezvous.ErrGone) && ctx.Err() == nil:
			c.Tell(fmt.Sprintf("%v; going on from the last checkpoint", cmp.Or(met.Why(), err)))
		case errors.Is(err, trainer.ErrRegroup):
			c.Tell("the ranks change; going on from this step")
		default:
			return out, err
		}
		for i := range jobs {
			jobs[i].Resume = true
		}
	}
}

// train trains the jobs as one rank of a group, which it leaves.
func (c *crew) train(ctx context.Context, met *rendezvous.Group, jobs []trainer.Job) ([]trainer.Result, error) {
	c.Tell(fmt.Sprintf("rank %d of %d, %d threads", met.Rank, met.World, c.setThreads(met)))
	g, err := joinGroup(ctx, met, c.ip())
	if err != nil {
		met.Close(err.Error())
		return nil, err
	}
	for i := range jobs {
		jobs[i].Ranks = g
	}
	results, err := c.Train(ctx, jobs)
	g.close(err)
	if met.Rank > 0 {
		return nil, err
	}
	if err == nil {
		c.place.Dismiss()
	}
	return results, err
}

// setThreads sets with how many threads this rank computes, and returns that number.
func (c *crew) setThreads(met *rendezvous.Group) int {
	n := c.Threads
	if n == 0 {
		here := 0
		for _, host := range met.Hosts {
			if host == c.Host {
				here++
			}
		}
		n = max(1, runtime.NumCPU()/max(1, here))
	}
	parallel.SetThreads(n)
	return n
}

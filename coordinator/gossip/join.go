package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// joiner reaches other members by address.
type joiner struct {
	list     *memberlist.Memberlist
	hooks    *hooks
	self     string // own address, never joined
	seeds    []string
	patience time.Duration
}

// dialTimeout bounds the first contact, before memberlist's own and longer timeout
// starts: a machine that is up answers within a second even across continents.
const dialTimeout = 3 * time.Second

// join tries the seeds until one answers or the patience ends; alone is then why. A fleet that refuses this node
// ends it at once with an error: more tries would not help.
func (j *joiner) join(ctx context.Context) (alone, err error) {
	if len(j.seeds) == 0 {
		return nil, nil
	}
	patience, cancel := context.WithTimeout(ctx, j.patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		ok, err := j.round(patience)
		if ok || fatal(err) {
			return nil, err
		}
		if alone == nil || patience.Err() == nil {
			alone = err
		}
		select {
		case <-patience.Done():
			return alone, ctx.Err()
		case <-time.After(jitter(pause)):
		}
	}
}

// Pauses between two rounds, doubled from the first to the greatest.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 3 * time.Second
)

// jitter spreads a pause over half to three halves of it: a seed serves 128 joins at a time.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// round tries every seed once; it reports whether the node may go on, with others
// or, if it is a seed itself, alone.
func (j *joiner) round(ctx context.Context) (bool, error) {
	addrs, errs := resolveAll(ctx, j.seeds)
	joined, isSeed := false, slices.Contains(addrs, j.self)
	addrs = slices.DeleteFunc(addrs, func(a string) bool { return a == j.self })
	j.each(ctx, addrs, func(_ string, err error) bool {
		joined = joined || err == nil
		errs = append(errs, err)
		return joined
	})
	err := firstFatal(errs)
	if err == nil && !joined {
		err = first(errs)
	}
	switch {
	case fatal(err) && !joined:
		return false, err
	case joined || isSeed:
		return true, nil
	}
	return false, err
}

// silence is how long an address may give no answer before the next one is tried, too: a node that hangs takes
// connections, and keeps whoever asks it waiting for memberlist's whole timeout.
const silence = 500 * time.Millisecond

// each tries addresses in turn, the next one when the last has answered or was silent, and tells what came of each.
// Those that stay silent are waited for until tell says that this is enough, or the context ends.
func (j *joiner) each(ctx context.Context, addrs []string, tell func(addr string, err error) (enough bool)) {
	type outcome struct {
		addr string
		err  error
	}
	out, enough := make(chan outcome, len(addrs)), false
	for waiting := 0; len(addrs) > 0 || waiting > 0; {
		if len(addrs) > 0 {
			a := addrs[0]
			addrs = addrs[1:]
			waiting++
			go func() { out <- outcome{a, j.try(ctx, a)} }() // ends with memberlist's timeout at the latest
		}
		var next <-chan time.Time
		if len(addrs) > 0 || enough {
			next = time.After(silence)
		}
		select {
		case o := <-out:
			waiting--
			enough = tell(o.addr, o.err) || enough
		case <-next:
			if len(addrs) == 0 {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// try joins by one address.
func (j *joiner) try(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn.Close()
	j.hooks.clear()
	j.hooks.joining.Add(1) // what this node meets is this function's to tell
	defer j.hooks.joining.Add(-1)
	if _, err = j.list.Join([]string{addr}); err != nil {
		return j.hooks.explain(addr, err)
	}
	return j.hooks.explain(addr, nil)
}

// clear forgets the verdicts of former tries.
func (h *hooks) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusal, h.taken = nil, ""
}

// explain turns the outcome of a join into the error a person should see.
func (h *hooks) explain(addr string, err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.taken != "":
		return fmt.Errorf("%w: the node at %s also calls itself %s", ErrNameTaken, h.taken, h.name)
	case err == nil:
		return nil
	case h.refusal != nil:
		return fmt.Errorf("join the fleet at %s: %w", addr, h.refusal)
	case isSecretError(err.Error()):
		return fmt.Errorf("join the fleet at %s: %w: give every node the same secret file, or none", addr, ErrSecret)
	}
	return fmt.Errorf("join the fleet at %s: %s", addr, firstLine(strings.ReplaceAll(err.Error(), "\n", " ")))
}

// isSecretError recognises memberlist's complaints about keys, in its own words
// (v0.7.0).
func isSecretError(text string) bool {
	text = strings.ToLower(text)
	for _, s := range []string{"no installed keys could decrypt", "encryption is not configured", "encryption is configured but"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// fatal reports whether trying again is useless.
func fatal(err error) bool {
	return errors.Is(err, ErrSecret) || errors.Is(err, ErrNameTaken) || errors.Is(err, coordinator.ErrOtherPlan) || errors.Is(err, errMeta)
}

// first is the error to show of a round in which nobody answered.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("no answer")
}

func firstFatal(errs []error) error {
	for _, err := range errs {
		if fatal(err) {
			return err
		}
	}
	return nil
}

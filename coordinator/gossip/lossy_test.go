package gossip

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"actfleet/coordinator/fleettest"
)

// weather is what a network does to its messages: some are lost, and none get from one group to another.
type weather struct {
	loss   float64
	mu     sync.Mutex
	rng    *rand.Rand
	groups map[string]int // of addresses
	lost   int
}

// keeps is false for what is lost between two addresses.
func (w *weather) keeps(from, to string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.groups[from] == w.groups[to] && w.rng.Float64() >= w.loss {
		return true
	}
	w.lost++
	return false
}

// count is how many were lost so far.
func (w *weather) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// part puts addresses into groups.
func (w *weather) part(groups map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups = groups
}

// outdoors is a node's transport in the weather: packets vanish, and connections cannot be made.
type outdoors struct {
	memberlist.Transport
	*weather
	self string
}

func (o outdoors) WriteTo(b []byte, addr string) (time.Time, error) {
	if !o.keeps(o.self, addr) {
		return time.Now(), nil
	}
	return o.Transport.WriteTo(b, addr)
}

func (o outdoors) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if !o.keeps(o.self, addr) {
		return nil, os.ErrDeadlineExceeded
	}
	return o.Transport.DialTimeout(addr, timeout)
}

// expose puts a node into the weather.
func (w *weather) expose(t *testing.T) func(*memberlist.Config) {
	return func(c *memberlist.Config) {
		real, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{c.BindAddr}, BindPort: c.BindPort, Logger: c.Logger})
		if err != nil {
			t.Fatal(err)
		}
		c.Transport = outdoors{Transport: real, weather: w, self: net.JoinHostPort(c.BindAddr, fmt.Sprint(real.GetAutoBindPort()))}
	}
}

// settled waits, when all members are closed, for the probes that memberlist leaves behind and that take longer where
// nobody answers.
func settled(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		for range 100 {
			if goleak.Find(before) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// TestLostMessages runs eight nodes over a network that loses a fifth of all packets and connections, and over one that
// also falls into two halves for a while: the run is completed, and little is done twice but for what each half does.
func TestLostMessages(t *testing.T) {
	const nodes, units, unitTime = 8, 80, 200 * time.Millisecond
	for _, tc := range []struct {
		name  string
		split time.Duration
		twice int
	}{{"loss", 0, 2 * nodes}, {"loss and split", time.Second, units / 2}} {
		t.Run(tc.name, func(t *testing.T) {
			settled(t)
			w := &weather{loss: 0.2, rng: rand.New(rand.NewPCG(1, 1))}
			store, halves := fleettest.NewStore(units), map[string]int{}
			var fleets []*Fleet
			for i := range nodes {
				cfg := testConfig(t, fmt.Sprint("n", i))
				cfg.Units, cfg.adjust = units, w.expose(t)
				if i > 0 {
					cfg.Join = []string{fleets[0].Addr()}
				}
				f := start(t, cfg)
				fleets = append(fleets, f)
				halves[f.Addr()] = i % 2
			}
			var running sync.WaitGroup
			var mu sync.Mutex
			starts := 0
			for _, f := range fleets {
				running.Go(func() {
					collect(t.Context(), t, f, store, unitTime, func(int) {
						mu.Lock()
						defer mu.Unlock()
						if starts++; starts == units/3 && tc.split > 0 {
							w.part(halves)
							time.AfterFunc(tc.split, func() { w.part(nil) })
						}
					})
				})
			}
			running.Wait()
			if m := store.Missing(); len(m) > 0 {
				t.Errorf("missing %v", m)
			}
			t.Logf("%d starts of %d units, %d messages lost", starts, units, w.count())
			if starts > units+tc.twice {
				t.Errorf("%d starts of %d units", starts, units)
			}
		})
	}
}

package collector

import "sync"

// lanes let batches go through the model side by side, each on one thread of its own: threads that share
// a batch wait for each other after every operator, and for the writer whenever it takes one's core.
type lanes struct {
	limit func() int // how many now; asked before every batch, for nodes come to a host and leave it
	mu    sync.Mutex
	freed sync.Cond
	busy  int
}

func newLanes(limit func() int) *lanes {
	l := &lanes{limit: limit}
	l.freed.L = &l.mu
	return l
}

// count is how many lanes there are now.
func (l *lanes) count() int { return max(1, l.limit()) }

// enter waits for a free lane; leave frees it.
func (l *lanes) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.busy >= l.count() {
		l.freed.Wait()
	}
	l.busy++
}

func (l *lanes) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.freed.Signal()
}

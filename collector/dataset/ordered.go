package dataset

import (
	"io"
	"runtime"
	"sync"
)

// inOrder takes items from next until io.EOF, works on them on all cores, and hands the results to take in the order
// of the items, all takes from the caller's goroutine. What is in memory at a time is bounded by a few items for each
// core. The first error, in that order, ends it; when it returns, nothing of it runs any more.
func inOrder[T, R any](next func() (T, error), do func(T) (R, error), take func(R) error) error {
	cores := runtime.GOMAXPROCS(0)
	p := &pipeline[T, R]{next: next, do: do, ahead: make(chan chan outcome[R], cores), slots: make(chan struct{}, cores), stop: make(chan struct{})}
	p.running.Go(p.produce)
	defer p.running.Wait()
	defer close(p.stop)
	for out := range p.ahead {
		o := <-out
		if o.err == io.EOF { // next's own; one within another error is damage
			return nil
		}
		if o.err != nil {
			return o.err
		}
		if err := take(o.value); err != nil {
			return err
		}
	}
	return nil
}

type outcome[R any] struct {
	value R
	err   error
}

type pipeline[T, R any] struct {
	next    func() (T, error)
	do      func(T) (R, error)
	ahead   chan chan outcome[R] // results to come, in order
	slots   chan struct{}        // one for each core
	stop    chan struct{}
	running sync.WaitGroup
}

// produce reads items one after another and starts the work on each.
func (p *pipeline[T, R]) produce() {
	for {
		item, err := p.next()
		out := make(chan outcome[R], 1)
		select {
		case p.ahead <- out:
		case <-p.stop:
			return
		}
		if err != nil {
			out <- outcome[R]{err: err}
			return
		}
		p.slots <- struct{}{}
		p.running.Go(func() {
			defer func() { <-p.slots }()
			value, err := p.do(item)
			out <- outcome[R]{value, err}
		})
	}
}

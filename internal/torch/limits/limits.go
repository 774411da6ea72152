package limits

/*
#include "core.h"
*/
import "C"

import (
	"fmt"
	"time"

	"actfleet/internal/torch"
)

// Something is repeated for spans times a span, and its rate is that of the best: other programs only ever take away.
const (
	spans = 5
	span  = 10 * time.Millisecond
)

// perSecond repeats f, which does so much work each time, and returns its work a second by the clock. The first time warms up.
func perSecond(work float64, now func() time.Time, f func() error) (best float64, err error) {
	if err := f(); err != nil {
		return 0, err
	}
	for range spans {
		var took time.Duration
		n, began := 0., now()
		for ; took < span; n++ {
			if err := f(); err != nil {
				return 0, err
			}
			took = now().Sub(began)
		}
		best = max(best, n*work/took.Seconds())
	}
	return best, nil
}

// Core is the most fp32 operations a second of one core, in chains of multiply-adds that stay in its registers, and the
// widest vector unit it has, for example "AVX-512", which does them.
func Core(now func() time.Time) (unit string, flops float64) {
	const rounds = 100_000
	work := float64(C.af_core(1)) * rounds
	flops, _ = perSecond(work, now, func() error { C.af_core(rounds); return nil }) // f never fails
	return C.GoString(C.af_core_unit()), flops
}

// Matrices are squares of leastSide to mostSide, whichever are the first whose product takes as long as enough: a GPU must
// have far more to do than being told so.
const (
	leastSide, mostSide = 256, 8192
	enough              = 2 * time.Millisecond
)

// Products is the floating-point operations a second of matrix products of a dtype on a device, as the model's linear maps
// call them; on the CPU with [torch.Threads] threads.
func Products(d torch.Device, dtype torch.Dtype, now func() time.Time) (flops float64, err error) {
	for side := int64(leastSide); err == nil; side *= 2 {
		var took time.Duration
		if flops, took, err = products(d, dtype, side, now); took >= enough || side == mostSide {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("measure %s products on %s: %w", dtype, d, err)
	}
	return flops, nil
}

// products measures those of one size, and how long one took.
func products(d torch.Device, dtype torch.Dtype, side int64, now func() time.Time) (flops float64, took time.Duration, err error) {
	work := 2 * float64(side) * float64(side) * float64(side)
	err = torch.Do(func(s *torch.Scope) (err error) {
		x, w := s.Ones(dtype, d, side, side), s.Ones(dtype, d, side, side)
		product := func() error {
			return torch.Do(func(s *torch.Scope) error {
				y := s.View(s.Linear(x, w, nil), side*side)
				s.Narrow(y, 0, 0, 1).Item() // waits for a GPU
				return nil
			})
		}
		flops, err = perSecond(work, now, product)
		return err
	})
	return flops, time.Duration(work / flops * float64(time.Second)), err
}

// copied is how much is copied at a time.
const copied = 64 << 20

// Copies is the bytes a second between a GPU and pinned memory of the host, the one direction and the other, each alone.
func Copies(d torch.Device, now func() time.Time) (toHost, toDevice float64, err error) {
	var done torch.Event
	defer done.Free()
	err = torch.Do(func(s *torch.Scope) (err error) {
		stream := s.NewStream(d)
		host, device := s.Pinned(torch.F32, copied/4), s.Zeros(torch.F32, d, copied/4)
		// Each direction has scopes of its own, so that an error of libtorch ends the measurement only.
		fetch := func() error {
			return torch.Do(func(s *torch.Scope) error { s.Fetch(stream, host, device, &done); done.Wait(); return nil })
		}
		if toHost, err = perSecond(copied, now, fetch); err != nil {
			return err
		}
		upload := func() error {
			return torch.Do(func(s *torch.Scope) error { s.Upload(device, host, &done); done.Wait(); return nil })
		}
		toDevice, err = perSecond(copied, now, upload)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("measure copies between %s and the host: %w", d, err)
	}
	return toHost, toDevice, nil
}

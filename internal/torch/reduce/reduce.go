package reduce

/*
#include <stdlib.h>
#include "load.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unsafe"

	"actfleet/internal/torch"
)

// ErrMissing says that this build cannot add up over processes.
var ErrMissing = errors.New("training on several processes needs Gloo")

var load = sync.OnceValue(open)

// Available tells whether groups can be made: nil, or ErrMissing and what to do about it.
func Available() error { return load() }

func open() error {
	dir, err := torch.Dir()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "libgroup.so")
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w, and scripts/setup.sh found no headers of it for libtorch %s: on Debian and Ubuntu, apt-get install libtorch-dev libgloo-dev and run it again", ErrMissing, torch.Version())
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if err := failure(C.af_group_open(name)); err != nil {
		return fmt.Errorf("%w: %w; run scripts/setup.sh again", ErrMissing, err)
	}
	return nil
}

// failure is a message of the library as an error, on one line; it frees the message.
func failure(msg *C.char) error {
	if msg == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(msg))
	text, _, _ := strings.Cut(C.GoString(msg), "\nException raised from")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// Group is a rank's side of a group. One goroutine uses it at a time.
type Group struct{ c unsafe.Pointer }

// Link carries cards between the ranks while they join.
type Link struct {
	Tell func(card []byte) error // gives a card of this rank to all others
	Hear <-chan []byte           // the cards of the others, in each rank's order
}

// Join connects this rank to the others. It listens on the address host, an IP of this machine that the others reach.
// No call on the group waits for longer than timeout, but for Join, which tries five times.
func Join(rank, world int, host string, timeout time.Duration, link Link) (*Group, error) {
	if err := load(); err != nil {
		return nil, err
	}
	g := &Group{}
	if err := g.join(rank, world, host, timeout, link); err != nil {
		g.Close()
		return nil, fmt.Errorf("join the group as rank %d of %d: %w", rank, world, err)
	}
	return g, nil
}

func (g *Group) join(rank, world int, host string, timeout time.Duration, link Link) (err error) {
	name := C.CString(host)
	defer C.free(unsafe.Pointer(name))
	if err := failure(C.af_group_begin(&g.c, C.int(rank), C.int(world), name, C.int64_t(timeout.Milliseconds()))); err != nil {
		return err
	}
	connected, hearing := make(chan struct{}), sync.WaitGroup{}
	hearing.Go(func() { g.hear(link.Hear, connected) })
	defer func() {
		close(connected)
		hearing.Wait()
	}()
	for {
		var card *C.char
		var n C.int64_t
		C.af_group_card(g.c, &card, &n)
		if n == 0 {
			return failure(C.af_group_connect(g.c))
		}
		if err := link.Tell(C.GoBytes(unsafe.Pointer(card), C.int(n))); err != nil {
			return err
		}
	}
}

// hear takes cards until this rank is connected.
func (g *Group) hear(cards <-chan []byte, connected <-chan struct{}) {
	for {
		select {
		case card, ok := <-cards:
			if !ok {
				return
			}
			if len(card) > 0 { // one that is damaged leaves its rank unknown, and the connecting fails
				_ = failure(C.af_group_meet(g.c, (*C.char)(unsafe.Pointer(&card[0])), C.int64_t(len(card))))
			}
		case <-connected:
			return
		}
	}
}

// SumFloat32s replaces every element by its sum over the ranks. All ranks call it with equal lengths.
func (g *Group) SumFloat32s(v []float32) error {
	if len(v) == 0 {
		return nil
	}
	return failure(C.af_group_sum(g.c, unsafe.Pointer(&v[0]), C.int64_t(len(v)), 0))
}

// SumFloat64s is SumFloat32s of longer numbers.
func (g *Group) SumFloat64s(v []float64) error {
	if len(v) == 0 {
		return nil
	}
	return failure(C.af_group_sum(g.c, unsafe.Pointer(&v[0]), C.int64_t(len(v)), 1))
}

// Share replaces the bytes by those of rank 0. All ranks call it with equal lengths.
func (g *Group) Share(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return failure(C.af_group_share(g.c, unsafe.Pointer(&data[0]), C.int64_t(len(data))))
}

// Close leaves the group; the calls of other ranks fail from then on.
func (g *Group) Close() {
	if g.c != nil {
		C.af_group_end(g.c)
		g.c = nil
	}
}

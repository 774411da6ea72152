package main

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// hub is a network of TUN devices: what one sends reaches the one that has the packet's address, unless it is lost or the
// two are in different groups. Unlike a bridge with a queueing discipline it needs nothing of the kernel but TUN.
type hub struct {
	loss float64

	mu           sync.Mutex
	rng          *rand.Rand
	ports        map[netip.Addr]*port
	passed, lost int
}

type port struct {
	*os.File
	group int
}

// hubMTU makes a packet of most of what gossip sends.
const hubMTU = 16000

// newHub makes a hub without devices; it ends with the test.
func newHub(t *testing.T, loss float64, seed uint64) *hub {
	h := &hub{loss: loss, rng: rand.New(rand.NewPCG(seed, 6)), ports: map[netip.Addr]*port{}}
	t.Cleanup(h.close)
	return h
}

// plug makes a device, in this namespace, that has an address on the hub.
func (h *hub) plug(t *testing.T, device, addr string) {
	t.Helper()
	f, err := openTUN(device)
	if err != nil {
		t.Fatalf("make the device %s: %v", device, err)
	}
	p := &port{File: f}
	h.mu.Lock()
	h.ports[netip.MustParseAddr(addr)] = p
	h.mu.Unlock()
	go h.carry(p)
}

func openTUN(device string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(device)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), device), nil
}

// carry passes on what a device sends, until it is closed.
func (h *hub) carry(from *port) {
	packet := make([]byte, hubMTU)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		if to := h.route(from, packet[:n]); to != nil {
			to.Write(packet[:n]) // a device that is down loses it
		}
	}
}

// route is where a packet goes, nil for nowhere.
func (h *hub) route(from *port, packet []byte) *port {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return nil // IPv6 says hello
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.ports[netip.AddrFrom4([4]byte(packet[16:20]))]
	if to == nil || to.group != from.group || h.rng.Float64() < h.loss {
		h.lost++
		return nil
	}
	h.passed++
	return to
}

// move puts the device with an address into a group.
func (h *hub) move(addr string, group int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports[netip.MustParseAddr(addr)].group = group
}

func (h *hub) counts() (passed, lost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passed, h.lost
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.ports {
		p.Close()
	}
}

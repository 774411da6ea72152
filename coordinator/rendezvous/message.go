package rendezvous

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"actfleet/coordinator"
)

// message is a line of JSON on a connection between two nodes. Which fields are set says what it is.
type message struct {
	Nonce []byte `json:",omitempty"` // to whoever connects: to be authenticated with
	Hello *hello `json:",omitempty"` // of whoever connects

	// Answers to a hello.
	Wait   bool   `json:",omitempty"` // follow here
	Goto   string `json:",omitempty"` // ask there
	Lead   bool   `json:",omitempty"` // this node will follow you
	Refuse string `json:",omitempty"` // never come again

	Start *start `json:",omitempty"` // of the leader
	Card  []byte `json:",omitempty"` // of one rank to all
	Gone  string `json:",omitempty"` // of the leader: the group is over, and why
	Bye   string `json:",omitempty"` // of a rank: it leaves, and why
	Over  bool   `json:",omitempty"` // of the leader to who waits: there is nothing left to do
	Done  bool   `json:",omitempty"` // a rank needs no other any more; of the leader: none does
}

// hello is how a node introduces itself.
type hello struct {
	Node  coordinator.NodeID
	Host  string
	Job   []string
	Again bool   // has lost a group
	MAC   []byte // of the nonce and the node, under the secret
}

// start is a group as its leader has made it.
type start struct {
	Rank  int
	Nodes []coordinator.NodeID
	Hosts []string
}

// Limits of what another process may send.
const (
	maxMessage = 1 << 20 // a line
	maxText    = 4096    // a text for people
	maxRanks   = 4096    // of a group, and nodes that wait at one place
)

// Limits of waiting for the other side.
const (
	askWait   = 3 * time.Second  // to connect and to be answered
	writeWait = 10 * time.Second // for a message to be taken
)

// wire is a connection that carries messages.
type wire struct {
	net.Conn
	in *bufio.Reader
	mu sync.Mutex // of writing
}

// newWire notices a silent other side within half a minute.
func newWire(c net.Conn) *wire {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4})
	}
	return &wire{Conn: c, in: bufio.NewReaderSize(c, 4096)}
}

func (w *wire) send(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// errMessage means that what came is not a message of ours.
var errMessage = errors.New("not a message between ranks")

// decode reads a line. What it returns can be indexed, shown on a terminal and kept.
func decode(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("%w: %s", errMessage, coordinator.Printable(err.Error()))
	}
	if m.Hello != nil && !named(m.Hello.Node, m.Hello.Host) {
		return message{}, fmt.Errorf("%w: a node without a name that can be shown", errMessage)
	}
	if m.Start != nil {
		if err := m.Start.check(); err != nil {
			return message{}, err
		}
	}
	for _, text := range []*string{&m.Goto, &m.Refuse, &m.Gone, &m.Bye} {
		*text = coordinator.Printable((*text)[:min(len(*text), maxText)])
	}
	return m, nil
}

func named(node coordinator.NodeID, host string) bool {
	return node != "" && coordinator.ValidName(string(node)) && coordinator.ValidName(host)
}

// check refuses a group in which somebody has no name or this node no rank: it follows, and is not rank 0.
func (s *start) check() error {
	if len(s.Nodes) > maxRanks || len(s.Hosts) != len(s.Nodes) || s.Rank < 1 || s.Rank >= len(s.Nodes) {
		return fmt.Errorf("%w: rank %d of %d nodes on %d hosts", errMessage, s.Rank, len(s.Nodes), len(s.Hosts))
	}
	for i, node := range s.Nodes {
		if !named(node, s.Hosts[i]) {
			return fmt.Errorf("%w: a node without a name that can be shown", errMessage)
		}
	}
	return nil
}

// receive reads a message; a deadline of 0 is none.
func (w *wire) receive(within time.Duration) (m message, err error) {
	var until time.Time
	if within > 0 {
		until = time.Now().Add(within)
	}
	if err := w.SetReadDeadline(until); err != nil {
		return m, err
	}
	var line []byte
	for {
		part, err := w.in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxMessage {
			return m, fmt.Errorf("%w: longer than %d bytes", errMessage, maxMessage)
		}
		if err == nil {
			return decode(line)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return m, err
		}
	}
}

// mac authenticates a node; without a secret it is nil.
func mac(secret, nonce []byte, node coordinator.NodeID) []byte {
	if len(secret) == 0 {
		return nil
	}
	h := hmac.New(sha256.New, secret)
	fmt.Fprintf(h, "%x %s", nonce, node)
	return h.Sum(nil)
}

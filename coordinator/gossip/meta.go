package gossip

import (
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// meta is a node's introduction, carried in memberlist's node metadata (at most 512
// bytes): version 1 | flags (1 observer) | plan | host | service, each string one byte of
// length and its bytes.
type meta struct {
	plan     string
	host     string
	service  string
	observer bool
}

// maxMetaName bounds the strings so that the metadata fits.
const maxMetaName = 200

// maxService bounds an address in it.
const maxService = 64

const metaVersion = 1

func (m meta) encode() []byte {
	b := []byte{metaVersion, 0}
	if m.observer {
		b[1] = 1
	}
	for _, s := range []string{m.plan, m.host, m.service} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b
}

var errMeta = errors.New("not a node of an actfleet, or one of another version")

func decodeMeta(b []byte) (meta, error) {
	if len(b) < 2 || b[0] != metaVersion {
		return meta{}, errMeta
	}
	m, ok := meta{observer: b[1]&1 != 0}, true
	b = b[2:]
	for _, s := range []*string{&m.plan, &m.host, &m.service} {
		if len(b) == 0 && s == &m.service {
			break // a node of a version without
		}
		if *s, b, ok = cutString(b); !ok || !coordinator.ValidName(*s) {
			return meta{}, errMeta
		}
	}
	return m, nil
}

// cutString takes a string off b: a byte of length and as many bytes, if they are there.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 {
		return "", nil, false
	}
	end := 1 + int(b[0]) // in int: the sum may be 256
	if end > len(b) {
		return "", nil, false
	}
	return string(b[1:end]), b[end:], true
}

// admit checks another node's introduction against our own; observers belong to
// every plan.
func (m meta) admit(n *memberlist.Node) error {
	if n.Name == "" || !coordinator.ValidName(n.Name) || !knownAddr(n) {
		return fmt.Errorf("node %.40q: %w: its name or address cannot be", n.Name, errMeta)
	}
	name, addr := n.Name, nodeAddr(n)
	o, err := decodeMeta(n.Meta)
	if err != nil {
		return fmt.Errorf("node %s at %s: %w", name, addr, err)
	}
	if o.plan != m.plan && !o.observer && !m.observer {
		return fmt.Errorf("%w: node %s at %s on plan %.12s, this node on plan %.12s; is --out the same on both, and --join meant for this run?",
			coordinator.ErrOtherPlan, name, addr, o.plan, m.plan)
	}
	return nil
}

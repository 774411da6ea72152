package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// Errors a caller decides on.
var (
	// ErrNobody means that no address of a fleet to look at answered.
	ErrNobody = errors.New("nobody answered")
	// ErrSecret means that the other side uses another secret, or one side none.
	ErrSecret = errors.New("the fleet uses another secret")
	// ErrAddress means that the address to bind cannot be used.
	ErrAddress = errors.New("cannot listen")
	// ErrNameTaken means that another process uses this node's id.
	ErrNameTaken = errors.New("node id is taken")
)

// Config says how this node takes part in a fleet.
type Config struct {
	// Node is this process, unique in the fleet; see coordinator.NewNodeID.
	Node coordinator.NodeID
	// Host is the machine's name, shown to others.
	Host string
	// PlanID and Units are those of the run, as read from the store.
	PlanID string
	Units  int

	// Bind is the address to listen on, "host:port", TCP and UDP; port 0 takes any
	// free one. Empty means a free port of the loopback address, or, when Join names
	// another machine, of the address from which that is reached.
	Bind string
	// Join are addresses of members, "host:port". Empty: this is the first node. The
	// list may hold this node's own address, so that all nodes can be given the same:
	// a node that stands in the list may start alone.
	Join []string
	// JoinFor is how long Start tries to reach one of Join before this node goes on alone
	// and tries in the background; 0 means DefaultJoinFor.
	JoinFor time.Duration
	// Secret is empty or a key of 16, 24 or 32 bytes.
	Secret []byte
	// Preset chooses the timings.
	Preset Preset
	// Logger gets the lines a person should see at Info and above, and memberlist's
	// own at Debug; slog.Default() where nil.
	Logger *slog.Logger

	adjust func(*memberlist.Config) // tests put in a network that loses things; nil for nothing
}

// DefaultJoinFor is how long a node waits for its first peer: nodes of one job start
// within seconds of each other, and a unit done twice costs no more than a longer wait.
const DefaultJoinFor = 5 * time.Second

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Node != "" && len(c.Node) <= maxMetaName, "node id %q: must have 1 to %d bytes", c.Node, maxMetaName)
	check(len(c.Host) <= maxMetaName, "host name of %d bytes: at most %d", len(c.Host), maxMetaName)
	for what, name := range map[string]string{"node id": string(c.Node), "host name": c.Host, "plan id": c.PlanID} {
		check(coordinator.Printable(name) == name, "%s %q: must be printable", what, name)
	}
	check(c.PlanID != "" && len(c.PlanID) <= maxMetaName, "plan id %q: must have 1 to %d bytes", c.PlanID, maxMetaName)
	check(c.Units >= 0, "%d units: must not be negative", c.Units)
	return errors.Join(append(errs, validMeeting(c.Bind, c.Join, c.Secret))...)
}

// validMeeting reports what is wrong with how the others are met.
func validMeeting(bind string, join []string, secret []byte) error {
	errs := []error{validSecret(secret), validAddress("bind", bind)}
	for _, a := range join {
		errs = append(errs, validAddress("join", a))
		if a == "" {
			errs = append(errs, errors.New("join address is empty; want host:port"))
		}
	}
	return errors.Join(errs...)
}

// Check reports what would keep a node from starting with these parts of a Config, a port in use among them, without
// meeting anybody: for whoever writes something before.
func Check(ctx context.Context, bind string, join []string, secret []byte) error {
	if err := validMeeting(bind, join, secret); err != nil {
		return fmt.Errorf("join the fleet: %w", err)
	}
	if bind == "" {
		return nil
	}
	host, port, err := bindAddress(ctx, bind, join)
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return bindError(host, port, err)
	}
	return l.Close()
}

func validSecret(key []byte) error {
	switch len(key) {
	case 0, 16, 24, 32:
		return nil
	}
	return fmt.Errorf("secret of %d bytes: must have 16, 24 or 32 (for example: head -c 32 /dev/urandom > secret)", len(key))
}

func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

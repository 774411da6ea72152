package gossip

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"actfleet/coordinator"
)

// validAddress checks the form "host:port"; empty is allowed.
func validAddress(what, addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s address %q: want host:port", what, addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s address %q: port must be 0 to 65535", what, addr)
	}
	return nil
}

// isLoopback reports whether the host of an address surely is this machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bindAddress resolves where to listen: an IP and a port.
func bindAddress(ctx context.Context, bind string, join []string) (string, int, error) {
	if bind == "" {
		return defaultBind(ctx, join), 0, nil
	}
	host, portText, err := net.SplitHostPort(bind)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", 0, err
	}
	if host == "" {
		return "0.0.0.0", port, nil
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil || len(ips) == 0 {
		return "", 0, fmt.Errorf("%w on %s: unknown host: %v", ErrAddress, bind, err)
	}
	return ips[0].IP.String(), port, nil
}

// elsewhere is an address no machine has (RFC 5737); a socket that is connected to it shows from which address this
// machine talks to the world.
const elsewhere = "192.0.2.1:9"

// defaultBind is the loopback address, or the address of this machine from which the first seed elsewhere is reached.
// Seeds whose names cannot be resolved yet, as those of a job that is just starting, count as somewhere in the world.
func defaultBind(ctx context.Context, join []string) string {
	away := slices.DeleteFunc(slices.Clone(join), isLoopback)
	if len(away) == 0 {
		return "127.0.0.1"
	}
	for _, a := range append(away, elsewhere) {
		if host := sourceAddress(ctx, a); host != "" {
			return host
		}
	}
	return "127.0.0.1"
}

// sourceAddress is the address of this machine from which another one is reached, empty for none. Connecting a UDP
// socket sends nothing.
func sourceAddress(ctx context.Context, to string) string {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "udp", to)
	if err != nil {
		return ""
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return host
}

// resolve turns "host:port" into all its "ip:port".
func resolve(ctx context.Context, addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, ip := range ips {
		out = append(out, net.JoinHostPort(ip.String(), port))
	}
	return out, nil
}

// resolveAll resolves several at once, because a server of names may be slow for one of them, and returns what it found in
// their order.
func resolveAll(ctx context.Context, addrs []string) (found []string, errs []error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	all, errs := make([][]string, len(addrs)), make([]error, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		wg.Go(func() { all[i], errs[i] = resolve(ctx, a) })
	}
	wg.Wait()
	return slices.Concat(all...), errs
}

// bindError turns memberlist's error into one line that says what to do.
func bindError(host string, port int, err error) error {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	text := err.Error()
	switch {
	case strings.Contains(text, "address already in use"):
		return fmt.Errorf("%w on %s: another process uses this port; choose another one, or port 0 for any", ErrAddress, addr)
	case strings.Contains(text, "cannot assign requested address"):
		return fmt.Errorf("%w on %s: not an address of this machine", ErrAddress, addr)
	case strings.Contains(text, "permission denied"):
		return fmt.Errorf("%w on %s: permission denied; choose a port above 1023", ErrAddress, addr)
	}
	return fmt.Errorf("%w on %s: %s", ErrAddress, addr, firstLine(text))
}

// firstLine is the start of a text of memberlist, which may repeat what others sent.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return coordinator.Printable(s)
}

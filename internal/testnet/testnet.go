// Package testnet gives tests addresses on the loopback device that stay free until the test uses them.
//
// A test must often name an address before anybody listens there: a seed that starts late, a server that is a process.
// To listen at port 0 and close again is not enough. The kernel hands the same ports to every outgoing connection, and
// the suite's other processes make thousands of those. The addresses here lie below the kernel's range.
package testnet

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// first and last bound the ports in use here. Linux, macOS and the BSDs take the ports of outgoing connections from
// 32768, 49152 and 49152 on.
const first, last = 20000, 32000

// FreeAddr returns "127.0.0.1:PORT" where nobody listens, by TCP nor by UDP.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		if addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first))); free(addr) {
			return addr
		}
	}
	t.Fatalf("no free port among a hundred between %d and %d", first, last)
	return ""
}

func free(addr string) bool {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	udp.Close()
	return true
}

package testnet

import (
	"net"
	"testing"
)

func TestFreeAddr(t *testing.T) {
	addr := FreeAddr(t)
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if free(addr) {
		t.Errorf("%s counts as free while somebody listens by TCP", addr)
	}
	tcp.Close()
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if free(addr) {
		t.Errorf("%s counts as free while somebody listens by UDP", addr)
	}
}

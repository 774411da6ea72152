package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/coordinator/gossip"
	"actfleet/internal/testnet"
)

// status --join says in one line why nobody answers, however it is asked.
func TestStatusOfNobody(t *testing.T) {
	dir := t.TempDir()
	secret := func(name, key string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fleet, err := gossip.Start(t.Context(), gossip.Config{Node: "a", PlanID: "plan", Units: 3, Preset: gossip.LocalFast,
		Secret: []byte("0123456789abcdef"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	for name, c := range map[string]struct {
		o    fleetOptions
		says string
	}{
		"no node":      {fleetOptions{join: []string{testnet.FreeAddr(t)}}, "nobody answered"},
		"no such name": {fleetOptions{join: []string{"nobody.invalid:7946"}}, "nobody.invalid"},
		"no secret":    {fleetOptions{join: []string{fleet.Addr()}}, "secret"},
		"wrong secret": {fleetOptions{join: []string{fleet.Addr()}, secretFile: secret("wrong", "fedcba9876543210")}, "secret"},
		"odd secret":   {fleetOptions{join: []string{fleet.Addr()}, secretFile: secret("short", "abc")}, "16, 24 or 32"},
		"no file":      {fleetOptions{join: []string{fleet.Addr()}, secretFile: filepath.Join(dir, "none")}, "none"},
		"no port":      {fleetOptions{join: []string{"localhost"}}, "host:port"},
	} {
		for _, o := range []statusOptions{{fleet: c.o}, {fleet: c.o, jsonOut: true}, {fleet: c.o, watch: true}, {fleet: c.o, watch: true, jsonOut: true}} {
			err := runStatus(context.Background(), o, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, watch %v, json %v: want one line that says %q, got %v", name, o.watch, o.jsonOut, c.says, err)
			}
		}
	}
}

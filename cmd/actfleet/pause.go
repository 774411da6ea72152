package main

import (
	"os"
	"os/signal"
	"syscall"
)

// Pausing is asked for with SIGUSR1 and ended with SIGUSR2. Not with SIGTSTP, which a shell's Ctrl-Z means to stop the
// whole process, gossip and all; and SIGUSR1 is what batch systems send ahead of the end, when starting nothing new is right.
var pauseSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}

// catchPauses keeps the signals from ending the process, and for later, while the model is loaded.
func catchPauses() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, pauseSignals...)
	return signals
}

// obeyPauses pauses and resumes the node as signals say, until the returned function is called.
func (n *thisNode) obeyPauses() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case s := <-n.pauses:
				n.pause(s == syscall.SIGUSR1)
			}
		}
	}()
	return func() { close(end); <-ended }
}

func (n *thisNode) pause(paused bool) {
	if paused {
		n.coordinator.Pause()
		n.tell("fleet: paused; what is in hand is finished, nothing new is started until SIGUSR2")
		return
	}
	n.coordinator.Resume()
	n.tell("fleet: resumed")
}

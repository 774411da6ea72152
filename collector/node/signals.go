package node

import (
	"os"
	"os/signal"
	"syscall"
)

// CatchSignals keeps SIGUSR1 and SIGUSR2 from ending the process, and for Config.Signals, until the returned function
// is called. Pausing is asked for with SIGUSR1 and ended with SIGUSR2. Not with SIGTSTP, which a shell's Ctrl-Z means
// to stop the whole process, gossip and all; and SIGUSR1 is what batch systems send ahead of the end, when starting
// nothing new is right.
func CatchSignals() (signals <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// obeySignals pauses and resumes the node as signals say, until the returned function is called.
func (n *node) obeySignals() (stopSignals func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case s := <-n.cfg.Signals:
				n.pause(s == syscall.SIGUSR1)
			}
		}
	}()
	return func() { close(end); <-ended }
}

func (n *node) pause(paused bool) {
	if paused {
		n.fleet.Coordinator.Pause()
		n.observer.Tell("fleet: paused; what is in hand is finished, nothing new is started until SIGUSR2")
		return
	}
	n.fleet.Coordinator.Resume()
	n.observer.Tell("fleet: resumed")
}

package embedded

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// tendFirst is how long after a fault of the store it is looked at first, and tendMost
	// the longest between two looks while it lasts.
	tendFirst = 250 * time.Millisecond
	tendMost  = 5 * time.Second
	// tendRoom is what the disk must take before the store is opened again: more than the
	// largest message, so that it does not fail again with the first.
	tendRoom = 2 * MaxPayload
	// tendProbe is what is written to see.
	tendProbe = 1 << 20
)

// tend opens the store again that a failed write has closed. NATS takes nothing more into a
// stream after one, and turns the whole store off where it may not write, until somebody
// restarts it: a disk that was full for a moment would end the intake of jobs for good.
//
// It looks when the server has complained, and goes on until all is well.
func (s *Server) tend(logs *logger) {
	var wait time.Duration
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-s.ending:
			return
		case <-logs.complained:
			if wait == 0 {
				wait = tendFirst
				timer.Reset(wait)
			}
		case <-timer.C:
			if s.storeFault() == "" {
				wait = 0
				continue
			}
			if s.reopen() {
				wait = 0
				continue
			}
			wait = min(2*wait, tendMost)
			timer.Reset(wait)
		}
	}
}

// storeFault says why the store takes nothing more; "" when it does.
func (s *Server) storeFault() string {
	if !s.srv.JetStreamEnabled() {
		return "it is turned off"
	}
	for _, e := range s.srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type == server.HealthzErrorStream && strings.Contains(e.Error, "write error") {
			return e.Error
		}
	}
	return ""
}

// reopen opens the store again if the disk takes something, and reports whether it works.
func (s *Server) reopen() bool {
	if err := writable(s.cfg.Dir); err != nil {
		return false // it was said when it began
	}
	o := s.opts
	err := s.srv.ShutdownJetStream()
	if err == nil {
		err = s.srv.EnableJetStream(&server.JetStreamConfig{
			StoreDir: o.StoreDir, SyncInterval: o.SyncInterval, SyncAlways: o.SyncAlways,
			MaxMemory: o.JetStreamMaxMemory, MaxStore: o.JetStreamMaxStore, Strict: true,
		})
	}
	fault := s.storeFault()
	if err == nil && fault == "" {
		s.cfg.Log.Info("nats", "reason", "the store could not write and is open again")
		return true
	}
	s.cfg.Log.Warn("nats", "reason", "open the store again: "+fault, "err", err)
	return false
}

// writable tries whether the disk has room and takes a file.
func writable(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err == nil && int64(st.Bavail)*st.Bsize < tendRoom {
		return syscall.ENOSPC // and what little there is left to others
	}
	f, err := os.CreateTemp(dir, "room")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, tendProbe))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

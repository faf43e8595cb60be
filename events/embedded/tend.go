package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"herosup/events"
)

const (
	// tendFirst is how long after a fault of the store it is looked at first, and tendMost
	// the longest between two looks while it lasts.
	tendFirst = 250 * time.Millisecond
	tendMost  = 5 * time.Second
	// tellEvery is how often a fault that lasts is told: nobody may have listened yet at a start, or come since.
	tellEvery = 10 * time.Second
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
// It looks when the server has complained, and goes on until all is well; how much room the disk has it looks all the time.
// What it finds it tells.
func (s *Server) tend(logs *logger) {
	var wait time.Duration
	var closed string // why we have closed the store; "": it is open
	lost := false
	var told time.Time // when a fault was
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	room := time.NewTicker(roomEvery)
	defer room.Stop()
	for {
		select {
		case <-s.ending:
			return
		case <-logs.complained:
			if wait == 0 {
				wait = tendFirst
				timer.Reset(wait)
			}
			continue
		case <-room.C:
			little := s.noRoom(closed != "")
			if (little == "") == (closed == "") {
				continue
			}
			if err := s.close(little != ""); err != nil {
				s.cfg.Log.Warn("nats", "reason", "close the store for want of room, or open it", "err", err)
				continue
			}
			closed = little
		case <-timer.C:
		}
		broken := s.storeFault()
		if broken != "" && s.reopen() {
			broken, closed = "", "" // what was closed by us is not
		}
		fault := cmp.Or(closed, broken, s.full())
		switch {
		case fault != "" && !lost:
			s.cfg.Log.Warn("log lost", "event", "LogLost", "reason", fault)
			s.tell(events.LogLost{Reason: fault})
			told = time.Now()
		case fault != "" && time.Since(told) >= tellEvery:
			s.tell(events.LogLost{Reason: fault})
			told = time.Now()
		case fault == "" && lost:
			s.cfg.Log.Info("log back", "event", "LogBack")
			s.tell(events.LogBack{})
		}
		if lost = fault != ""; !lost {
			wait = 0
			continue
		}
		wait = min(max(2*wait, tendFirst), tendMost)
		timer.Reset(wait)
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

// full says that the store has as much as it may; "" when it has not.
func (s *Server) full() string {
	info, err := s.srv.Jsz(&server.JSzOptions{})
	if err != nil || int64(info.Store) <= info.Config.MaxStore {
		return ""
	}
	return fmt.Sprintf("it holds %d MiB, and may hold no more: it takes jobs again when some of those it has have ended; a start finds its bound anew", info.Config.MaxStore>>20)
}

// tell publishes a fact about the store.
func (s *Server) tell(e events.Event) {
	b, err := s.Connect("nats")
	if err == nil {
		err = b.Publish(e)
		b.Close()
	}
	if err != nil {
		s.cfg.Log.Warn("nats", "reason", "tell how the store is", "err", err)
	}
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
	if room, err := freeRoom(dir); err == nil && room < tendRoom {
		return syscall.ENOSPC // and what little there is left to others
	}
	f, err := os.CreateTemp(dir, "room")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, tendProbe))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

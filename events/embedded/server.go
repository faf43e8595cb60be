package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"herosup/events"
)

// Config says how to run the server.
type Config struct {
	// Dir holds keys, port and streams; made when absent. The caller holds a
	// lock on it.
	Dir string
	// Listen is "host:port" for clients outside the daemon. "" means loopback
	// with a free port, chosen once and kept; port 0 the same.
	Listen string
	// NoListen serves in-process connections only; for tests with a clock of
	// their own, which a listening socket would hold up.
	NoListen bool
	// Prefix is the first token of every subject; "" means events.DefaultPrefix.
	Prefix string
	// State is the state folder's id, for the source of envelopes.
	State string
	// SyncInterval bounds what a power cut can lose; 0 means one second.
	SyncInterval time.Duration
	// SyncAlways writes each message through before it is acknowledged.
	SyncAlways bool
	// MaxStore bounds the streams' bytes on disk; 0 means what they have and half of
	// what is free, from 512 MiB to 8 GiB.
	MaxStore int64
	Log      *slog.Logger
}

const (
	// MaxPayload is the largest message that clients may send.
	MaxPayload   = 8 << 20
	maxMemory    = 64 << 20 // JetStream in memory: de-duplication and small state only
	readyTimeout = 10 * time.Second
)

// Server is a running server, and the Hub of the connections to it that are opened in
// this process with the system's rights.
type Server struct {
	*events.Hub

	cfg  Config
	opts *server.Options
	srv  *server.Server
	key  nkeys.KeyPair
	url  string

	end    sync.Once
	ending chan struct{} // closed by Stop
	tended sync.WaitGroup
}

// Start runs the server and returns when it accepts connections with all roles
// in place and its store works.
func Start(cfg Config) (*Server, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = events.DefaultPrefix
	}
	if err := events.CheckToken("subject prefix", cfg.Prefix); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.SyncInterval <= 0 {
		cfg.SyncInterval = time.Second
	}
	host, port, err := listenAt(cfg)
	if err != nil {
		return nil, err
	}
	opts, key, err := options(cfg, host, port)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("nats server: %w", err)
	}
	logs := &logger{log: cfg.Log, complained: make(chan struct{}, 1)}
	srv.SetLoggerV2(logs, false, false, false)
	srv.Start()
	s := &Server{cfg: cfg, opts: opts, srv: srv, key: key, ending: make(chan struct{})}
	s.Hub = events.NewHub(events.HubConfig{Dial: s.dial, Prefix: cfg.Prefix, State: cfg.State, Log: cfg.Log})
	if err := s.settle(logs); err != nil {
		s.Stop()
		return nil, err
	}
	s.tended.Go(func() { s.tend(logs) })
	return s, nil
}

// settle waits until the server works. It does not say so by itself: with a
// folder that can not be written it is "running" and never ready.
func (s *Server) settle(logs *logger) error {
	if !s.srv.ReadyForConnections(readyTimeout) {
		if f := logs.fatal(); f != "" {
			return fmt.Errorf("nats server: %s", f)
		}
		return fmt.Errorf("nats server: not ready after %s", readyTimeout)
	}
	if err := join(s.srv, s.cfg.Prefix); err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	if s.cfg.NoListen {
		return nil
	}
	addr, ok := s.srv.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("nats server: no address")
	}
	s.url = "nats://" + net.JoinHostPort(addr.IP.String(), strconv.Itoa(addr.Port))
	return keepPort(s.cfg.Dir, addr.Port)
}

func options(cfg Config, host string, port int) (*server.Options, nkeys.KeyPair, error) {
	// The system's key lives in this process only, so a stolen folder does not
	// give the system's rights.
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, nil, fmt.Errorf("system key: %w", err)
	}
	roles := map[Role]nkeys.KeyPair{}
	for _, r := range Roles() {
		if roles[r], err = loadOrMakeKey(cfg.Dir, r); err != nil {
			return nil, nil, err
		}
	}
	accounts := map[string]*server.Account{}
	var list []*server.Account
	for _, name := range accountNames() {
		a := server.NewAccount(name)
		accounts[name] = a
		list = append(list, a)
	}
	nk, err := users(cfg.Prefix, accounts, key, roles)
	if err != nil {
		return nil, nil, fmt.Errorf("nats users: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("state folder: %w", err)
	}
	maxStore := cfg.MaxStore
	if maxStore <= 0 {
		maxStore = defaultMaxStore(cfg.Dir)
	}
	return &server.Options{
		ServerName: "herosup", Host: host, Port: port, DontListen: cfg.NoListen,
		NoSigs: true, MaxPayload: MaxPayload, MaxControlLine: 4096,
		JetStream: true, StoreDir: cfg.Dir, // it adds "jetstream"
		JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
		SyncInterval: cfg.SyncInterval, SyncAlways: cfg.SyncAlways, DisableJetStreamBanner: true,
		Accounts: list, Nkeys: nk,
	}, key, nil
}

// URL is where clients outside the daemon connect.
func (s *Server) URL() string { return s.url }

// dial opens an in-process connection with the system's rights.
func (s *Server) dial(component string, more ...nats.Option) (*nats.Conn, error) {
	pub, err := s.key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", component, err)
	}
	opts := append(events.ConnectOptions(component, s.cfg.Log), nats.InProcessServer(s.srv), nats.Nkey(pub, s.key.Sign))
	nc, err := nats.Connect("", append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", component, err)
	}
	return nc, nil
}

// Stop ends the server and returns when it has written everything.
func (s *Server) Stop() {
	s.end.Do(func() { close(s.ending) })
	s.tended.Wait()
	s.Close()
	s.finish()
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// finishTime bounds the wait for what the streams have yet to take, which is in memory already.
const finishTime = time.Second

// finish returns when the streams have taken what was published. A shutdown drops what they have not.
func (s *Server) finish() {
	over := time.After(finishTime)
	for len(*s.srv.Ipqueuesz(&server.IpqueueszOptions{Filter: "messages"})) > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-over:
			return
		}
	}
}

// Dial opens a connection over TCP as one of the roles, with the key below dir.
// ctx bounds the wait.
func Dial(ctx context.Context, url, dir string, r Role, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	opt, err := nats.NkeyOptionFromSeed(KeyFile(dir, r))
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", r, err)
	}
	opts := append(events.ConnectOptions("herosup "+string(r), log), opt)
	if d, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(time.Until(d)))
	}
	nc, err := nats.Connect(url, append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", url, r, err)
	}
	return nc, nil
}

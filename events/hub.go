package events

import (
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
)

// Hub opens the Buses of one process, which share its Local. For concurrent use.
type Hub struct {
	cfg  HubConfig
	mu   sync.Mutex
	open *Local // made by the first Connect
}

// HubConfig says how to make a Hub.
type HubConfig struct {
	// Dial opens a connection that the server shows under a component's name.
	Dial func(component string, more ...nats.Option) (*nats.Conn, error)
	// Prefix is the first token of every subject; "" means DefaultPrefix.
	Prefix string
	// State is the state folder's id, for the source of envelopes.
	State string
	// Log takes what the connections have to say; nil discards it.
	Log *slog.Logger
}

// NewHub makes a Hub; nothing is opened before the first Connect.
func NewHub(cfg HubConfig) *Hub { return &Hub{cfg: cfg} }

// Connect opens a connection and makes it the Bus of one component, whose to close
// it is.
func (h *Hub) Connect(component string) (*Bus, error) {
	local, err := h.local()
	if err != nil {
		return nil, err
	}
	nc, err := h.cfg.Dial(component)
	if err != nil {
		return nil, err
	}
	return NewBus(nc, Config{
		Prefix: h.cfg.Prefix, Source: "herosup/" + h.cfg.State + "/" + component, Local: local, Log: h.cfg.Log,
	})
}

// local is the components' own way past the server.
func (h *Hub) local() (*Local, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil {
		return h.open, nil
	}
	nc, err := h.cfg.Dial("facts", nats.NoEcho())
	if err != nil {
		return nil, err
	}
	h.open = NewLocal(nc, h.cfg.Log)
	return h.open, nil
}

// Close ends what the Buses share: they can publish no facts and orders any more.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil {
		h.open.Close()
		h.open = nil
	}
}

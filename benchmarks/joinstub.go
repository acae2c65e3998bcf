// joinstub answers POST /join/ROOM and POST /leave/ROOM/CLIENT with the header and the fields that rtcd answers without
// [ice], in JSON without blanks: what Go's net/http takes for that and nothing else. Build it with: make joinstub
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"strings"
	"sync"
)

type params struct {
	ErrorMessages    []string `json:"error_messages"`
	WarningMessages  []string `json:"warning_messages"`
	IsLoopback       string   `json:"is_loopback"`
	PcConfig         string   `json:"pc_config"`
	PcConstraints    string   `json:"pc_constraints"`
	OfferOptions     string   `json:"offer_options"`
	MediaConstraints string   `json:"media_constraints"`
	IceServer        string   `json:"ice_server_url"`
	IceTransports    string   `json:"ice_server_transports"`
	Loopback         string   `json:"include_loopback_js"`
	WssURL           string   `json:"wss_url"`
	WssPostURL       string   `json:"wss_post_url"`
	Bypass           string   `json:"bypass_join_confirmation"`
	Version          string   `json:"version_info"`
	Header           *string  `json:"header_message"`
	RoomID           string   `json:"room_id"`
	RoomLink         string   `json:"room_link"`
	ClientID         string   `json:"client_id"`
	IsInitiator      string   `json:"is_initiator"`
	Messages         []string `json:"messages"`
}

type answer struct {
	Result string `json:"result"`
	Params params `json:"params"`
}

var (
	lock  sync.Mutex
	rooms = map[string][]string{}
)

func header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), screen-wake-lock=(self), fullscreen=(self), picture-in-picture=(self), geolocation=(), payment=(), usb=()")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Server", "stub")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
}

func join(w http.ResponseWriter, r *http.Request) {
	room := strings.TrimPrefix(r.URL.Path, "/join/")
	raw := make([]byte, 10)
	rand.Read(raw)
	client := hex.EncodeToString(raw)
	lock.Lock()
	first := len(rooms[room]) == 0
	rooms[room] = append(rooms[room], client)
	lock.Unlock()
	initiator := "false"
	if first {
		initiator = "true"
	}
	secure := ""
	if r.TLS != nil {
		secure = "s"
	}
	base := "http" + secure + "://" + r.Host
	none := []string{}
	body, _ := json.Marshal(answer{"SUCCESS", params{none, none, "false",
		`{"iceServers": [], "bundlePolicy": "max-bundle", "rtcpMuxPolicy": "require"}`, `{"optional": []}`, "{}",
		`{"audio": true, "video": true}`, "", "", "",
		"ws" + secure + "://" + r.Host + "/ws", base + "/sig", "false", "null", nil, room, base + "/r/" + room, client, initiator, none}})
	header(w)
	w.Write(body)
}

func leave(w http.ResponseWriter, r *http.Request) {
	header(w)
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) == 4 {
		lock.Lock()
		left := rooms[parts[2]][:0]
		for _, one := range rooms[parts[2]] {
			if one != parts[3] {
				left = append(left, one)
			}
		}
		if len(left) == 0 {
			delete(rooms, parts[2])
		} else {
			rooms[parts[2]] = left
		}
		lock.Unlock()
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:18081", "address")
	certificate := flag.String("cert", "", "PEM file, for TLS")
	key := flag.String("key", "", "PEM file")
	flag.Parse()
	http.HandleFunc("/join/", join)
	http.HandleFunc("/leave/", leave)
	if *certificate != "" {
		log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, nil))
	}
	log.Fatal(http.ListenAndServe(*listen, nil))
}

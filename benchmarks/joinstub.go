// joinstub answers POST /join/ROOM and POST /leave/ROOM/CLIENT as briefly as a room server could: what Go's net/http
// takes for that and nothing else. Build it with: make joinstub
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
	ClientID    string   `json:"client_id"`
	RoomID      string   `json:"room_id"`
	IsInitiator string   `json:"is_initiator"`
	WssURL      string   `json:"wss_url"`
	WssPostURL  string   `json:"wss_post_url"`
	IceServer   string   `json:"ice_server_url"`
	RoomLink    string   `json:"room_link"`
	Messages    []string `json:"messages"`
}

type answer struct {
	Result string `json:"result"`
	Params params `json:"params"`
}

var (
	lock  sync.Mutex
	rooms = map[string][]string{}
)

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
	base := "https://" + r.Host
	body, _ := json.Marshal(answer{"SUCCESS", params{client, room, initiator, "wss://" + r.Host + "/ws", base + "/sig",
		base + "/v1alpha/iceconfig", base + "/r/" + room, []string{}}})
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

func leave(w http.ResponseWriter, r *http.Request) {
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

module curia-archive-check

go 1.25.3

require github.com/hashicorp/go-msgpack/v2 v2.1.1

# A lone server in a container; its address is the container's.
server      = true
bootstrap   = true
data_dir    = "/var/lib/curia"
run_dir     = "/run/curia"
bind_addr   = "{{ GetPrivateIP }}"
client_addr = "0.0.0.0"

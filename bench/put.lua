-- PUTs of 100 bytes to 10,000 keys in turn, each thread its own.
local thread_count = 0
function setup(thread)
  thread:set("id", thread_count)
  thread_count = thread_count + 1
end
local n = 0
local value = string.rep("x", 100)
function request()
  n = n + 1
  return wrk.format("PUT", "/v1/kv/bench/" .. id .. "/" .. (n % 10000), nil, value)
end

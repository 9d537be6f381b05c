import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const frame = (directory: string, body: string): string => `
daemon off;
worker_processes 1;
pid ${directory}/pid;
error_log ${directory}/error.log crit;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 128k;
  ${body}
}
`

const write = (directory: string, name: string, body: string): readonly string[] => {
  const place = join(directory, name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'nginx.conf'), frame(place, body))
  return ['nginx', '-p', place, '-c', join(place, 'nginx.conf')]
}

/** Answers every method with a body of the size that the path names. */
export const upstreamCommand = (directory: string, port: number): readonly string[] => {
  const files = join(directory, 'files')
  mkdirSync(files, { recursive: true })
  for (const [name, bytes] of [['100k', 100 << 10], ['10m', 10 << 20]] as const) writeFileSync(join(files, name), Buffer.alloc(bytes, 'x'))
  return write(directory, 'upstream', `server {
    listen 127.0.0.1:${port} backlog=16384;
    root ${files};
    default_type application/octet-stream;
    location = /1k { return 200 "${'x'.repeat(1024)}"; }
    location = /held { return 200 "ok"; }
  }`)
}

const upstreamOf = (port: number): string => `upstream app { server 127.0.0.1:${port}; keepalive 256; keepalive_requests 1000000000; }`
const pass = 'proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";'

export const proxyCommand = (directory: string, port: number, upstream: number): readonly string[] =>
  write(directory, 'proxy', `${upstreamOf(upstream)}
  server { listen 127.0.0.1:${port}; location / { ${pass} } }`)

export const authRequestCommand = (directory: string, name: string, port: number, upstream: number, service: number): readonly string[] =>
  write(directory, name, `${upstreamOf(upstream)}
  upstream auth { server 127.0.0.1:${service}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { auth_request /auth; ${pass} }
    location = /auth {
      internal;
      proxy_pass http://auth;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;
      proxy_set_header X-Original-Method $request_method;
    }
  }`)

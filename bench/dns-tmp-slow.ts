import { Random } from "/work/main/shared/random.ts";
import { Catalog } from "/work/main/services/dnsd/core/catalog.ts";
import { Responder } from "/work/main/services/dnsd/core/responder.ts";
import { defaultDnsSettings } from "/work/main/services/dnsd/core/settings.ts";
import { buildQuery } from "/work/main/test/compat/dns-message.ts";
const catalog = new Catalog(); const none = new Uint8Array(0);
for (let i=1;i<=10;i++){ const node=`node-${i}`; catalog.setNode({node,address:`10.0.0.${i}`,datacenter:"dc1",peerName:"",taggedAddresses:{},meta:{}});
 catalog.setService({node,id:"web",service:"web",kind:"",tags:[],address:"",port:8080,peerName:"",taggedAddresses:{},meta:{},weights:null,proxyJson:none,connectJson:none}); }
const r = new Responder(defaultDnsSettings, catalog, { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 }, new Random(1));
const arrival={transport:"udp" as const, clientAddress:"127.0.0.1", wallSeconds: 1700000000};
const nx = Array.from({length:200000},(_,i)=>buildQuery({name:`absent-${i}.service.consul`,type:"A"},i&65535));
const a = Array.from({length:200000},(_,i)=>buildQuery({name:(i.toString(2).padStart(18,"0").split("").map((c,j)=>"webserviceconsulxx"[j]).join(""), [..."web.service.consul"].map((c,j)=> (i>>j)&1? c.toUpperCase():c).join("")),type:process.argv[2]??"A"},i&65535));
function run(name:string, qs:Buffer[]){ const t=performance.now(); for(const q of qs){ if(!r.answerKnown(q,arrival)) r.handle(q,arrival);} const us=(performance.now()-t)*1000/qs.length; console.log(name, us.toFixed(2),"us each"); }
for (let k=0;k<3;k++){ run("nxdomain never cached", nx); run("web 0x20", a);}
const one=[nx[5]!]; const same=Array.from({length:300000},()=>one[0]!); run("nx cached", same); run("nx cached", same);
const wa=buildQuery({name:"web.service.consul",type:"A"},7); run("A cached", Array.from({length:300000},()=>wa)); run("A cached", Array.from({length:300000},()=>wa));
const ws=buildQuery({name:"web.service.consul",type:"SRV"},7); run("SRV cached", Array.from({length:300000},()=>ws)); run("SRV cached", Array.from({length:300000},()=>ws));

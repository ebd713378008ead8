"""The API documentation page. It carries all it needs, so that it works without a network beyond this component."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>__TITLE__</title>
<style>
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:68rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #8886}
details{margin:.3rem 0;border:1px solid #8884;border-radius:4px;padding:.3rem .6rem}
summary{cursor:pointer}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{overflow:auto;max-height:24rem;background:#8881;padding:.6rem;border-radius:4px}
.m{display:inline-block;min-width:4.2rem;font-weight:600}
</style></head><body><h1>__TITLE__</h1><p id="about"></p><main id="apis"></main>
<script>
const el=(tag,text,parent)=>{const e=document.createElement(tag);if(text!==undefined)e.textContent=text;parent.append(e);return e};
const apis=__APIS__;
const main=document.getElementById('apis');
document.getElementById('about').textContent=apis.length+' APIs. Each has its OpenAPI file at the address shown.';
for(const url of apis){
  const section=el('section',undefined,main);
  fetch(url).then(r=>r.json()).then(doc=>{
    el('h2',doc.info.title+' '+doc.info.version,section);
    const link=el('a',url,section);link.href=url;
    for(const [path,item] of Object.entries(doc.paths))for(const method of ['get','post','patch','delete']){
      const op=item[method];if(!op)continue;
      const d=el('details',undefined,section),s=el('summary',undefined,d);
      const m=el('span',method.toUpperCase(),s);m.className='m';el('code',doc.servers[0].url+path,s);el('span','  '+(op.summary||''),s);
      d.addEventListener('toggle',()=>{if(d.dataset.done)return;d.dataset.done='1';
        const body=op.requestBody&&op.requestBody.content;
        if(op.parameters)el('pre',op.parameters.map(p=>p.name+': '+(p.schema.type||'')+'  '+(p.description||'')).join('\\n'),d);
        if(body)for(const [media,c] of Object.entries(body)){el('div','body '+media,d);el('pre',JSON.stringify(resolve(doc,c.schema),null,1),d)}
        for(const [status,r] of Object.entries(op.responses)){el('div',status+' '+r.description,d);
          if(status<'300'&&r.content)el('pre',JSON.stringify(resolve(doc,Object.values(r.content)[0].schema),null,1),d)}});
    }
  }).catch(e=>el('p','Could not read '+url+': '+e,section));
}
function resolve(doc,schema){return schema.$ref?{[schema.$ref.split('/').pop()]:doc.components.schemas[schema.$ref.split('/').pop()]}:schema}
</script></body></html>
"""

// Tells the server the browser's time zone, for people who have not chosen one. It holds no other data.
"use strict";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && /^[A-Za-z0-9_+\-/]{1,64}$/.test(zone)) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `lh_time_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

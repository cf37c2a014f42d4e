// Starts Swagger UI on /docs; without it, as where its CDN is out of reach, says where the routes are described.

const place = document.getElementById("swagger-ui");

if (window.SwaggerUIBundle) {
  SwaggerUIBundle({ url: "/openapi.json", domNode: place, deepLinking: true, showExtensions: true });
} else {
  const link = Object.assign(document.createElement("a"), { href: "/openapi.json", textContent: "/openapi.json" });
  place.append("Swagger UI could not be loaded. The routes are described in ", link, ".");
}

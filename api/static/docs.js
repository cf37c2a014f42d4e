// Starts Swagger UI on /docs. No validator: it would send the description to a server elsewhere.

SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("swagger-ui"),
  deepLinking: true,
  showExtensions: true,
  validatorUrl: null,
});
